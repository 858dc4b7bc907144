from decimal import Decimal

import pytest

from vr1_ray.evaluation import find_answer
from vr1_ray.evaluation.choosing import options_in
from vr1_ray.evaluation.extraction import can_infer, number_of, only_number_in
from vr1_ray.evaluation.paper import prediction_of, wants_another

CHOICES = {"A": "red", "B": "dark red", "C": "12", "D": "7"}


@pytest.mark.parametrize(
    ("response", "text", "how"),
    [
        ("<think> a </think><answer> Final Answer:B </answer>", "B", "answer block"),
        ("<answer>**Final Answer:** 3.5</answer>", "3.5", "answer block"),
        ("<answer>1</answer> no, <answer>2</answer>", "2", "answer block"),
        ("<answer>\\boxed{7}</answer>", "7", "answer block"),
        ("<answer> </answer>", "", "empty answer block"),
        (r"first \boxed{1}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}", "boxed"),
        ("<think> so\n**Final Answer:** 12 </think>", "12", "stated"),
        ("Let me see.\nThe answer is 5.", "5", "stated"),
        ("The answer is 3. No, the correct answer is (B) 4.", "(B) 4", "stated"),
        ("5", "5", "whole response"),
        ("5.0", "5.0", "whole response"),
        ("", "", "empty response"),
        ("<think> I see five", "", "no answer found"),
        ("word " * 100, "", "no answer found"),
    ],
)
def test_where_an_answer_is_found(response, text, how):
    found = find_answer(response)
    assert (found.text, found.how) == (text, how)


def test_a_sentence_as_a_whole_response_is_not_the_last_word():
    assert find_answer("yes").is_final
    assert not find_answer("I think it is a small dog").is_final


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14", "14"), ("1,200", "1200"), ("3/4", "0.75"), ("14 years", "14"), ("-2.5", "-2.5"), ("$1.45", "1.45"),
        ("two", "2"), ("12%", "12"), ("nan", None), ("1e299", "1e299"), ("1e999", None), ("1e999999", None),
        ("∞", None), ("x + 1", None), ("", None), ("a lot", None),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text, value):
    assert number_of(text) == (None if value is None else Decimal(value))


def test_a_phrase_with_two_numbers_names_none():
    assert only_number_in("there are 14 red ones") == 14
    assert only_number_in("13 or 14") is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (C).", "C"),
        ("C: 12", "C"),
        ("it is 12 of them", "C"),
        ("A or B", None),
        ("I'm sorry, but without the image provided", "Z"),
        ("Z", "Z"),
        ("dark red", None),  # holds "red" too
        ("none", None),
    ],
)
def test_the_harnesses_option_matcher(text, letter):
    assert can_infer(text, CHOICES) == letter


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("x\nChoices:\nA:40°\nB:60°", ("40°", "60°")),
        ("How? Choices: (A) yes (B) no", ("yes", "no")),
        ("What?\nOptions: A: one, two, B: three", ("one, two", "three")),
        ("No options here", ()),
        ("Choices: B: 1", ()),
    ],
)
def test_options_written_in_a_question(question, options):
    assert options_in(question) == options


def test_the_harness_reads_its_format_to_the_very_space():
    assert prediction_of("<answer> Final Answer:B </answer>") == "B"
    assert prediction_of("<answer>Final Answer:B</answer>") == "<answer>Final Answer:B</answer>"
    assert wants_another("The answer is B")
    assert not wants_another("</answer>")
