"""MathVista's rules as its paper and scorer describe them, on hand-made responses."""

import pytest

from tests.unit.evaluation.questions import question, run, verdict, wrapped
from vr1_ray.evaluation.benchmarks.mathvista import MathVista, edit_distance
from vr1_ray.evaluation.paper import prediction_of

CHOICE = {
    "pid": "1", "query": "Hint: ...\nQuestion: Find the angle.\nChoices:\n(A) 135° ...", "question_type": "multi_choice",
    "answer_type": "text", "choices": ["135°", "140°", "145°", "150°"], "answer": "145°", "precision": None,
    "metadata": {"task": "geometry problem solving", "skills": ["geometry reasoning", "algebraic reasoning"]},
}  # fmt: skip
WORDS = CHOICE | {"choices": ["Yes", "No"], "answer": "No"}
TWINS = CHOICE | {"choices": ["5", "7", "5", "9"], "answer": "5"}
INTEGER = CHOICE | {
    "query": "Hint: ...\nQuestion: How old? (Unit: years)", "question_type": "free_form", "answer_type": "integer",
    "choices": None, "answer": "14", "unit": "years",
}  # fmt: skip
ONE_PLACE = INTEGER | {"answer_type": "float", "answer": "1.2", "precision": 1.0}
TWO_PLACES = ONE_PLACE | {"answer": "1.45", "precision": 2.0}
LIST = INTEGER | {"answer_type": "list", "answer": "[0, 2, 0, 2]"}


@pytest.mark.parametrize(
    ("row", "response", "is_correct", "rule"),
    [
        (CHOICE, wrapped("C"), True, "option letter"),
        (CHOICE, wrapped("(C)"), True, "option letter"),
        (CHOICE, wrapped("C. 145°"), True, "option letter"),
        (CHOICE, wrapped("A"), False, "option letter"),
        (CHOICE, wrapped("145°"), True, "option text, the same"),
        (CHOICE, wrapped("145"), True, "option text, the same value"),
        (CHOICE, wrapped("150°"), False, "option text, the same"),
        (CHOICE, wrapped("the angle is (C)"), True, "option letter in brackets"),
        (CHOICE, wrapped("145 degres"), True, "option text, nearest by edit distance"),
        (CHOICE, wrapped("B or C"), False, "several letters"),
        (CHOICE, wrapped("A, C"), False, "several letters"),
        (CHOICE, wrapped("C. 140°"), False, "letter and text of different options"),
        (CHOICE, "The correct answer is (C) 145°.", True, "option letter"),
        (CHOICE, r"So we get \boxed{C}", True, "option letter"),
        (CHOICE, "C", True, "option letter"),
        (CHOICE, "<think> It must be C", False, "no answer found"),
        (CHOICE, "", False, "empty response"),
        (WORDS, wrapped("No"), True, "option text, the same"),
        (WORDS, wrapped("B"), True, "option letter"),
        (TWINS, wrapped("A"), True, "option letter"),
        (TWINS, wrapped("C"), True, "option letter"),
        (INTEGER, wrapped("14"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("14 years"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("14.0"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("14.7"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("15"), False, "integer, truncated: a number"),
        (INTEGER, wrapped("fourteen"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("14%"), True, "integer, truncated: a number"),
        (INTEGER, wrapped("I see 14 red ones"), True, "integer, truncated: the only number of a phrase"),
        (INTEGER, wrapped("between 13 and 14"), False, "no number"),
        (INTEGER, wrapped("many"), False, "no number"),
        (INTEGER, wrapped(""), False, "empty answer block"),
        (ONE_PLACE, wrapped("1.2"), True, "rounded to 1 decimals: a number"),
        (ONE_PLACE, wrapped("1.24"), True, "rounded to 1 decimals: a number"),
        (ONE_PLACE, wrapped("6/5"), True, "rounded to 1 decimals: a number"),
        (ONE_PLACE, wrapped("1.26"), False, "rounded to 1 decimals: a number"),
        (TWO_PLACES, wrapped("$1.45"), True, "rounded to 2 decimals: a number"),
        (TWO_PLACES, wrapped("1.5"), False, "rounded to 2 decimals: a number"),
        (LIST, wrapped("[0, 2, 0, 2]"), True, "list, item by item"),
        (LIST, wrapped("0,2,0,2"), True, "list, item by item"),
        (LIST, wrapped("[0, 2, 2, 0]"), False, "list, item by item"),
        (LIST, wrapped("none"), False, "no list"),
    ],
)  # fmt: skip
def test_each_rule_of_the_scorer(row, response, is_correct, rule):
    found = verdict("mathvista", question("mathvista", **row), response)
    assert (found.is_correct, found.rule) == (is_correct, rule)


def test_a_cut_response_has_no_answer_but_what_it_put_in_a_block():
    asked = question("mathvista", **CHOICE)
    assert verdict("mathvista", asked, "The answer is C", is_cut=True).rule == "cut, no answer"
    assert verdict("mathvista", asked, wrapped("C") + " and", is_cut=True).is_correct


def test_sub_scores_are_those_of_the_paper():
    assert question("mathvista", **CHOICE).labels == ("GPS", "GEO", "ALG")


def test_the_tsv_form_reads_lists_from_text_and_precision_from_the_answer():
    tsv = {
        "index": "7", "question": "Hint: ...", "question_type": "free_form", "answer_type": "float", "answer": "0.25",
        "choices": "[]", "task": "math word problem", "skills": "['arithmetic reasoning']",
    }  # fmt: skip
    asked = question("mathvista", **tsv)
    assert asked.labels == ("MWP", "ARI")
    assert asked.choices == ()
    assert verdict("mathvista", asked, wrapped("0.251")).is_correct


@pytest.mark.parametrize(
    ("one", "other", "distance"), [("kitten", "sitting", 3), ("", "abc", 3), ("a", "a", 0)]
)
def test_edit_distance_counts_changes(one, other, distance):
    assert edit_distance(one, other) == distance


@pytest.mark.parametrize(
    ("row", "response", "replies", "is_correct"),
    [
        (CHOICE, wrapped("C"), [], True),  # its matcher finds the letter
        (CHOICE, wrapped("C") + " ", [], True),
        (CHOICE, wrapped("none of these"), ["C"], True),  # the judge is asked to extract
        (INTEGER, wrapped("14"), [], True),
        (INTEGER, wrapped("14 years"), ["14"], True),
        (INTEGER, wrapped("14 years"), ["14.0"], False),  # int("14.0") fails
        (INTEGER | {"answer": "0"}, wrapped("0"), ["0"], True),  # a right 0 still costs a call
        (ONE_PLACE, wrapped("1.24"), ["1.24"], False),  # precision is not used
        (LIST, wrapped("[0, 2, 0, 2]"), ["[0, 2, 0, 2]"], False),  # lists are never right
    ],
)
def test_protocol_paper_repeats_the_harness(row, response, replies, is_correct):
    check = MathVista().paper_check(question("mathvista", **row), prediction_of(response))
    found, requests = run(check, replies)
    assert found.is_correct is is_correct
    assert [request.calls for request in requests] == [5] * len(replies)
    assert all("Model respone:" in request.text for request in requests)
