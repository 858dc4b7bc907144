"""MathVerse: choices, free-form answers by meaning ("0.5m and 50cm"), versions; the paper's harness beside them."""

import pytest

from tests.unit.evaluation.questions import question, run, verdict, wrapped
from vr1_ray.evaluation.benchmarks.mathverse import MathVerse

CHOICE = {
    "sample_index": "3", "problem_index": "1", "problem_version": "Vision Only", "question": "", "answer": "C",
    "question_type": "multi-choice", "query_cot": "According to the question shown in the image, please ...",
    "question_for_eval": "Circle O has a radius 1.0, then BC is ()\nChoices:\nA:2\nB:2√{3}\nC:√{3}\nD:2√{2}",
    "metadata": {"subject": "Plane Geometry", "subfield": "Length", "source": "GeoQA", "split": "testmini"},
}  # fmt: skip
FREE = CHOICE | {
    "problem_version": "Text Lite", "question": "Find L.", "question_type": "free-form", "question_for_eval": "Find L.",
}  # fmt: skip


def free(answer):
    return FREE | {"answer": answer}


@pytest.mark.parametrize(
    ("row", "response", "is_correct", "is_decided"),
    [
        (CHOICE, wrapped("C"), True, True),
        (CHOICE, wrapped("c"), True, True),
        (CHOICE, wrapped("C:√{3}"), True, True),
        (CHOICE, wrapped("C: √3"), True, True),
        (CHOICE, wrapped("√3"), True, True),
        (CHOICE, wrapped("1.7320508075688772935274463415058723669428"), True, True),
        (CHOICE, wrapped("B:2√{3}"), False, True),
        (CHOICE, wrapped("C: 2√2"), False, True),
        (CHOICE, wrapped("2"), False, True),
        (CHOICE, wrapped("B or C"), False, True),
        (CHOICE, wrapped("BC, since it is shorter than AB"), False, False),
        (CHOICE, r"Therefore \boxed{C}.", True, True),
        (CHOICE, "D. They give the solutions", False, True),
        (CHOICE, "As it stands, I cannot provide the option.", False, False),
        (free("14"), wrapped("14"), True, True),
        (free("14"), wrapped("L = 14"), True, True),
        (free("14"), wrapped("14 cm"), True, True),
        (free("14"), wrapped("15"), False, True),
        (free("0.5m"), wrapped("50cm"), True, True),
        (free("50%"), wrapped("0.5"), True, True),
        (free("22.3"), wrapped("22.31"), True, True),
        (free("22.3"), wrapped("22.4"), False, True),
        (free("(-2,1]"), wrapped(r"\((-2, 1)\)"), False, True),
        (free("(-2,1]"), wrapped("(-2, 1]"), True, True),
        (free("f(x)=-x^2-2x+1"), wrapped("f(x) = -x^2 - 2x + 1"), True, True),
        (free("1/2"), wrapped(r"\frac{1}{2}"), True, True),
        (free("the y-axis"), wrapped("the vertical axis"), False, False),
        (free("14"), "", False, True),
    ],
)
def test_each_rule(row, response, is_correct, is_decided):
    found = verdict("mathverse", question("mathverse", **row), response)
    assert (found.is_correct, found.is_decided) == (is_correct, is_decided)


def test_versions_and_subjects_are_sub_scores_and_a_problem_is_one_cluster():
    asked = question("mathverse", **CHOICE)
    assert asked.labels == ("Vision Only", "Plane Geometry", "Length")
    assert asked.cluster == "1"


def test_vision_only_is_sent_without_a_question_but_judged_with_it():
    asked = question("mathverse", **CHOICE)
    assert asked.prompt.question == CHOICE["query_cot"]
    assert asked.fields["question_for_eval"].startswith("Circle O")


def test_the_tsv_form_writes_metadata_as_python_does():
    row = {key: value for key, value in FREE.items() if key not in ("query_cot", "sample_index")}
    asked = question("mathverse", **row | {"index": "9", "metadata": str(FREE["metadata"])})
    assert asked.labels[1] == "Plane Geometry"


@pytest.mark.parametrize(
    ("replies", "is_correct", "calls"),
    [
        (["C"], True, 1),  # the extraction is the answer
        (["√3", "1"], True, 2),
        (["√3", "0"], False, 2),
        (["√3", "maybe", "so", "1"], True, 4),  # asked until it says 0 or 1
        (["√3", "a", "b", "c", "d", "e"], False, 6),  # five tries, then wrong
    ],
)
def test_protocol_paper_extracts_and_compares_by_the_judge(replies, is_correct, calls):
    check = MathVerse().paper_check(question("mathverse", **CHOICE), "√3")
    found, requests = run(check, replies)
    assert (found.is_correct, len(requests)) == (is_correct, calls)
    assert [request.temperature for request in requests[1:]] == [0.0, 0.5, 1.0, 1.5, 2.0][
        : calls - 1
    ]
