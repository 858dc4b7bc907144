"""Reading what a reasoner answers, and the checks of a chain that no pattern can do."""

import pytest

from tests.unit.bridging.builders import reply
from vr1_ray.bridging.chains import Chain, final_answer, read_chain
from vr1_ray.bridging.checks import Checked, choices_of, contradiction, last_statement, looping


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Final Answer:3", "3"),
        ("**Final Answer:** 3.5", "3.5"),
        ("It is a half.\n\n**Final Answer: B. 12 cm**", "B. 12 cm"),
        ("So \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("Final Answer: \\boxed{7}", "7"),
        ("<answer> Final Answer:yes </answer>", "yes"),
        ("The answer is 42.", "42"),
        ("3", "3"),
        (
            "First one has to look at the left side, and then at the right one, which is longer by far.",
            "",
        ),
        ("", ""),
    ],
)
def test_the_final_answer_is_found(text, answer):
    assert final_answer(text) == answer


def test_a_thought_may_come_apart_or_inside_the_text_or_be_the_text():
    apart = read_chain(reply("Final Answer:3", "Three."))
    inside = read_chain(reply("<think>\nThree.\n</think>\n\nFinal Answer:3", None))
    without = read_chain(reply("Three.\nFinal Answer:3", None))
    assert apart == inside == without == Chain(thought="Three.", answer="3", is_finished=True)


def test_a_reply_cut_at_its_limit_is_not_finished():
    assert not read_chain(reply(finish_reason="length")).is_finished
    assert not read_chain(reply("", "Still thinking")).is_finished


@pytest.mark.parametrize(
    ("thought", "stated"),
    [
        ("The answer is 5. Wait, no. The answer should be 6.", "6"),
        ("I'll go with B.", "B"),
        ("So 7 is the answer.", "7"),
        ("The answer is 5. Hmm. That makes 6.", "6"),
        ("Red, blue, green.", ""),
    ],
)
def test_the_last_statement_counts(thought, stated):
    assert last_statement(thought) == stated


def checked(thought, answer, question=""):
    return Checked(
        chain=Chain(thought=thought, answer=answer, is_finished=True),
        question=question,
        answer=answer,
    )


@pytest.mark.parametrize(
    ("thought", "answer", "question", "is_one"),
    [
        ("The answer is 5.", "6", "", True),
        ("The answer is 5.", "5.0", "", False),
        ("The answer is 12.", "B", "(A) 9 (B) 12", False),
        ("The answer is 9.", "B", "Choices: 9 (A) 12 (B)", True),
        ("The answer is yes.", "no", "", True),
        ("The answer is obvious.", "no", "", False),
        ("The answer is a triangle.", "triangle", "", False),
        ("The total of the first row is 4.", "yes", "", False),
    ],
)
def test_a_contradiction_is_between_answers_of_one_kind(thought, answer, question, is_one):
    assert contradiction(checked(thought, answer, question)) == is_one


def test_choices_are_read_in_the_usual_forms():
    wanted = {"A": "9", "B": "12 cm"}
    assert choices_of("How long? (A) 9 (B) 12 cm") == wanted
    assert choices_of("How long?\nA. 9\nB. 12 cm") == wanted
    assert choices_of("How long? Choices: 9 (A) 12 cm (B)") == wanted
    assert choices_of("How long?") == {}


def test_four_looks_are_no_loop_and_six_are():
    look = "Wait, let me look again. Top: red circle, empty, empty. Middle: empty, empty, empty. "
    limits = {"times": 5, "min_words": 24, "max_share": 0.3}
    assert not looping(checked(look * 4, "1"), **limits)
    assert looping(checked(look * 6, "1"), **limits)


def test_a_sentence_over_and_over_is_a_loop_also_between_others():
    mixed = " ".join(f"But is that really right? Then {number}." for number in range(12))
    assert looping(checked(mixed, "1"), times=5, min_words=24, max_share=0.3)
