"""Rows as they are in the published sets, where they differ from tidy ones: each is scored as its benchmark scores it."""

import json

import pytest

from tests.unit.evaluation.benchmarks.test_mathverse import CHOICE as VERSE
from tests.unit.evaluation.benchmarks.test_mathverse import FREE as VERSE_FREE
from tests.unit.evaluation.benchmarks.test_mathvista import CHOICE as VISTA
from tests.unit.evaluation.benchmarks.test_mathvista import LIST as VISTA_LIST
from tests.unit.evaluation.benchmarks.test_mathvista import TWINS
from tests.unit.evaluation.benchmarks.test_other_benchmarks import (
    CHARTQA,
    DYNAMATH,
    DYNAMATH_CHOICE,
    HALLUSION,
    MATH_VISION_CHOICE,
    MMSTAR,
    WE_MATH,
)
from tests.unit.evaluation.questions import question, run, verdict, wrapped
from vr1_ray.evaluation import make_benchmark
from vr1_ray.evaluation.benchmarks.mm_math import judge
from vr1_ray.evaluation.benchmarks.we_math import split_options
from vr1_ray.evaluation.choosing import options_in

STATEMENTS = VERSE | {
    "question_for_eval": "Is it even?\nChoices:\nA:True\nB:False",
    "answer": "False",
}
DECIMAL_OPTIONS = MATH_VISION_CHOICE | {
    "options": ["3.14", "2.5", "$\\frac{1}{3}$", "7", "9"],
    "answer": "A",
}


@pytest.mark.parametrize(
    ("name", "row", "answer", "is_correct"),
    [
        ("chartqa", CHARTQA | {"answer": "[Mali, Chad]"}, "[Mali, Chad]", True),  # no Python list
        ("chartqa", CHARTQA | {"answer": "[Mali, Chad]"}, "[mali, chad]", True),
        ("chartqa", CHARTQA | {"answer": "[Mali, Chad]"}, "Niger", False),
        ("chartqa", CHARTQA | {"answer": "[2014, 2016]"}, "[2014, 2016]", True),
        ("chartqa", CHARTQA | {"answer": "[2014, 2016]"}, "[2014,2016]", True),
        ("chartqa", CHARTQA | {"answer": "[2014, 2016]"}, "2016", True),
        ("chartqa", CHARTQA | {"answer": "['Yes', 'No']"}, "no", True),
        ("chartqa", CHARTQA | {"answer": "[a, 'b]"}, "[a, 'b]", True),
        ("chartqa", CHARTQA | {"answer": "0.23"}, r"\boxed{23\%}", True),
        ("chartqa", CHARTQA | {"answer": "23%"}, r"$23\%$", True),
        ("chartqa", CHARTQA | {"answer": "Yes"}, "**Yes**", True),
        ("chartqa", CHARTQA | {"answer": "Yes"}, r"\text{Yes}", True),
        ("chartqa", CHARTQA | {"answer": "1200"}, "1,200", True),
        ("chartqa", CHARTQA | {"answer": "23%"}, r"\boxed{33\%}", False),
        ("chartqa", CHARTQA | {"answer": "0"}, "0.0", False),
        ("mathverse", VERSE | {"answer": "(C)"}, "C", True),
        ("mathverse", VERSE | {"answer": "(C)"}, "√3", True),
        ("mathverse", VERSE | {"answer": "(C)"}, "B", False),
        ("mathverse", VERSE | {"answer": "C."}, "C", True),
        ("mathverse", STATEMENTS, "B", True),
        ("mathverse", STATEMENTS, "False", True),
        ("mathverse", STATEMENTS, "A", False),
        ("mathverse", VERSE | {"answer": "C\nD"}, "C, D", True),
        ("mathverse", VERSE | {"answer": "C\nD"}, "C and D", True),
        ("mathverse", VERSE | {"answer": "C\nD"}, "CD", True),
        ("mathverse", VERSE | {"answer": "C\nD"}, "C", False),
        ("mathverse", VERSE | {"answer": "C\nD"}, "A and D", False),
        ("mathverse", VERSE | {"answer": "no option at all"}, "no option at all", True),
        ("mathverse", VERSE_FREE | {"answer": "0.5m"}, "AB = 50 cm", True),
        ("mathverse", VERSE_FREE | {"answer": "0.5m"}, "the length is 50 cm", True),
        ("mathverse", VERSE_FREE | {"answer": "0.5m"}, "AB = 5 cm", False),
        ("mathverse", VERSE_FREE | {"answer": "L=0.5m"}, "50 cm", True),
        ("mathverse", VERSE_FREE | {"answer": "f(x)=-x^2-2x+1"}, "y = -x^2 - 2x + 1", True),
        ("mathverse", VERSE_FREE | {"answer": "f(x)=-x^2-2x+1"}, "g(x) = -x^2 - 2x + 1", False),
        ("mathverse", VERSE_FREE | {"answer": "y=2x+1"}, "f(x) = 2x + 1", True),
        ("mathverse", VERSE_FREE | {"answer": "f(x)=-x^2-2x+1"}, "y = -x^2 + 2x + 1", False),
        ("mathvista", VISTA, "145 degres", True),
        ("mathvista", VISTA, "none of these", False),
        ("mathvista", VISTA | {"answer": "135°"}, "the picture is unclear", False),
        ("mathvista", VISTA | {"choices": ["(A)", "(B)", "(C)"], "answer": "(B)"}, "B", True),
        ("mathvista", VISTA | {"choices": ["(A)", "(B)", "(C)"], "answer": "(B)"}, "(B)", True),
        ("mathvista", VISTA | {"choices": ["(A)", "(B)", "(C)"], "answer": "(B)"}, "(b)", True),
        ("mathvista", VISTA | {"choices": ["(a)", "(b)", "(c)"], "answer": "(b)"}, "C", False),
        ("mathvista", VISTA | {"choices": ["(B)", "(A)"], "answer": "(A)"}, "(B)", True),  # by place
        ("mathvista", VISTA_LIST, "[0,2,0,2]", True),
        ("mathvista", VISTA_LIST, "0, 2, 0 and 2", True),
        ("mathvista", VISTA_LIST, "(0, 2, 0, 2)", True),
        ("mathvista", VISTA_LIST, "[0.0, 2.0, 0.0, 2.0]", True),
        ("mathvista", VISTA_LIST, r"\[0, 2, 0, 2\]", True),
        ("mathvista", VISTA_LIST, "[0, 2, 0]", False),
        ("mathvista", VISTA_LIST, "[0, 2, 0, 3]", False),
        ("we_math", WE_MATH | {"option": "A. 1;B. 2;C.;D. 3", "answer": "D"}, "3", True),
        ("dynamath", DYNAMATH_CHOICE | {"question": "Even? choice: (A) Yes (B) No"}, "No", True),
        ("dynamath", DYNAMATH_CHOICE | {"question": "Even? choice: (A) Yes (B) No"}, "Yes", False),
        ("dynamath", DYNAMATH_CHOICE, '{"solution": "s", "short answer": "B"}', True),
        ("dynamath", DYNAMATH, '{"solution": "\\frac", "short answer": "2.094"}', True),
        ("math_vision", DECIMAL_OPTIONS, "3.142", True),
        ("math_vision", DECIMAL_OPTIONS, "3.2", False),
        ("math_vision", DECIMAL_OPTIONS | {"answer": "C"}, "0.333", True),
        ("math_vision", DECIMAL_OPTIONS | {"answer": "C"}, "0.3", False),
        ("math_vision", DECIMAL_OPTIONS | {"answer": "D"}, "A. 3.14", False),
    ],
)  # fmt: skip
def test_a_published_row_is_scored_as_its_benchmark_scores_it(name, row, answer, is_correct):
    found = verdict(name, question(name, **row), wrapped(answer))
    assert found.is_correct is is_correct, found


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_an_unquoted_list_ends_no_evaluation(protocol):
    asked = question("chartqa", **CHARTQA | {"answer": "[Mali, Chad]"})
    if protocol == "honest":
        assert verdict("chartqa", asked, wrapped("[Mali, Chad]")).is_correct
    else:
        found, _ = run(make_benchmark("chartqa").paper_check(asked, "[Mali, Chad]"))
        assert found.is_correct


@pytest.mark.parametrize(
    ("response", "is_correct"),
    [
        ("<Thought process>: <<300 is the sum>> <Answer>: <<B>>", True),
        ("<Thought process>: <<A is 3>> <Answer>: <<B. 400, 300>>", True),
        ("<Thought process>: <<I add>>\n<Answer>: <<A>>", False),
        ("<Thought process>: I add <Answer>: B", True),
    ],
)
def test_we_maths_own_template_is_read(response, is_correct):
    assert verdict("we_math", question("we_math", **WE_MATH), response).is_correct is is_correct


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("A. 1;B. 2;C.;D. 3", ("1", "2", "", "3")),
        ("A. A;C.;E; B. A;D; C. B;D", ("A;C.;E", "A;D", "B;D")),
        ("A. P;Q; B. P;C.;R; C. all; D. none", ("P;Q", "P;C.;R", "all", "none")),
        ("A. 300, 400;B. 400, 300; C. 3000, 4000", ("300, 400", "400, 300", "3000, 4000")),
        ("A. one", ("one",)),
    ],
)
def test_we_maths_options_begin_at_the_next_letter_only(option, texts):
    assert split_options(option) == texts


def test_we_maths_option_columns_are_taken_as_they_are():
    row = {key: value for key, value in WE_MATH.items() if key != "option"}
    asked = question("we_math", **row, A="P;B.;Q", B="400, 300", C="none")
    assert asked.choices == ("P;B.;Q", "400, 300", "none")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Is it even? choice: (A) Yes (B) No", ("Yes", "No")),
        ("Which one?\nChoice:\nA:40°\nB:60°", ("40°", "60°")),
        ("He has a choice: red or blue. Which?\nChoices:\nA. red\nB. blue", ("red", "blue")),
        ("Which one?\nA. red\nB. blue", ("red", "blue")),
        ("Options: (A) 1 (B) 2 (C) 3 (D) 4 (E) 5", ("1", "2", "3", "4", "5")),
        ("A. red is a colour", ()),
    ],
)  # fmt: skip
def test_options_in_the_forms_that_questions_have(text, options):
    assert options_in(text) == options


GITHUB = {
    "question": "Find the angle.", "question_type": "multi_choice", "answer_type": "text", "choices": ["135°", "145°"],
    "answer": "145°", "unit": None, "precision": None, "metadata": {"task": "x", "skills": []},
}  # fmt: skip
INTEGER = GITHUB | {
    "question_type": "free_form", "answer_type": "integer", "choices": None, "answer": "14", "unit": "years",
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            GITHUB,
            "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
            "Question: Find the angle.\nChoices:\n(A) 135°\n(B) 145°",
        ),
        (
            INTEGER,
            "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, "
            "at the end.\nQuestion: Find the angle. (Unit: years)",
        ),
        (
            INTEGER | {"answer_type": "float", "precision": 2, "answer": "1.45", "unit": None},
            "Hint: Please answer the question requiring a floating-point number with two decimal places and provide the "
            "final value, e.g., 1.23, 1.34, 1.45, at the end.\nQuestion: Find the angle.",
        ),
        (
            INTEGER | {"answer_type": "list", "answer": "[1, 2]", "unit": None},
            "Hint: Please answer the question requiring a Python list as an answer and provide the final list, e.g., "
            "[1, 2, 3], [1.2, 1.3, 1.4], at the end.\nQuestion: Find the angle.",
        ),
    ],
)  # fmt: skip
def test_mathvistas_github_file_is_asked_as_its_authors_ask(row, text):
    assert question("mathvista", **row, pid="1").prompt.question == text


@pytest.mark.parametrize(
    ("reference", "prediction", "is_right"),
    [
        (r"\frac{3}{4}", "0", False),  # the percent rule is for decimals
        (r"\frac{3}{4}", "75", False),
        (r"\frac{3}{4}", "0.75", True),
        ("0.75", "75", True),
        ("0.75", "0", True),  # 0 is within 0.01 of 0.0075: its rule
        (r"\sqrt{2}", "141.42", False),
        ("[2,3)", "[2,3.005)", True),
        ("[2,3)", "[2,3.05)", False),
        ("[2,3)", "(2,3)", False),
        (r"(-1,\sqrt{2})", "(-1,1.414)", True),
        (r"(-\infty,2]\cup[3,4)", r"(-\infty,2.001]\cup[3,4)", True),
        ("1<x<3", "1<x<3.001", True),
        ("1<x<3", "(1,3)", True),
        ("(1,2)", "(1,200)", False),
        (r"\boxed{3} and \boxed{4}", r"(1) \boxed{3} (2) \boxed{4}", True),
    ],
)
def test_mm_maths_percent_and_tolerance(reference, prediction, is_right):
    assert (judge(reference, prediction) != "different") is is_right


@pytest.mark.parametrize(
    ("solution", "response", "is_correct"),
    [
        (r"$\boxed{3}$, $\boxed{4}$", r"(1) \boxed{3} (2) \boxed{4}", True),
        (r"$\boxed{3}$, $\boxed{4}$", r"\boxed{4}", False),
        (r"$\boxed{3}$", r"(1) \boxed{2} (2) \boxed{3}", False),
        (r"$\boxed{3}$, $\boxed{4}$", r"<think> \boxed{9} </think> \boxed{3}, then \boxed{4}", True),
        (r"$\boxed{3}$, $\boxed{4}$", r"<answer> \boxed{3} \boxed{4} </answer>", True),
        (r"$\boxed{3}$, $\boxed{4}$", wrapped("3, 4"), True),
    ],
)  # fmt: skip
def test_mm_math_counts_all_boxes_of_an_answer(solution, response, is_correct, monkeypatch):
    monkeypatch.setattr("vr1_ray.evaluation.benchmarks.mm_math._named_image", lambda row: ())
    asked = question("mm_math", question="x?", solution=solution, image=None, index="1")
    assert verdict("mm_math", asked, response).is_correct is is_correct


def test_protocol_paper_sends_mathverses_question_and_not_its_query_for_thoughts():
    without_thoughts = "Please directly answer the question.\nQuestion: Find L."
    benchmark = make_benchmark("mathverse")
    hub = question("mathverse", **VERSE_FREE | {"query_wo": without_thoughts})
    assert benchmark.paper_text(hub) == without_thoughts
    tsv = {key: value for key, value in VERSE_FREE.items() if not key.startswith("query")}
    asked = question("mathverse", **tsv | {"question": without_thoughts})
    assert benchmark.paper_text(asked) == without_thoughts


@pytest.mark.parametrize(
    ("name", "row"), [("mmstar", MMSTAR), ("hallusion_bench", HALLUSION), ("mathvista", VISTA)]
)
def test_a_judge_of_protocol_paper_reads_no_mark_of_a_picture(name, row, monkeypatch):
    asked = question(name, **row)
    object.__setattr__(asked.prompt, "question", "<image>" + asked.prompt.question)
    _, requests = run(
        make_benchmark(name).paper_check(asked, "hard to say"), ["C", "Yes", "C", "C", "C"]
    )
    assert requests
    assert not any("<image>" in request.text for request in requests)


@pytest.mark.parametrize(
    ("row", "prediction", "is_correct"),
    [
        (TWINS, "A", True),
        (TWINS, "C", False),  # the harness compares letters
        (TWINS | {"answer_option": "C"}, "C", True),
        (TWINS | {"answer_option": "C"}, "A", False),
    ],
)
def test_protocol_paper_tells_options_of_equal_text_apart(row, prediction, is_correct):
    found, _ = run(
        make_benchmark("mathvista").paper_check(question("mathvista", **row), prediction)
    )
    assert found.is_correct is is_correct


def test_hallusion_bench_gives_the_part_with_pictures_that_published_rows_are_of():
    asked = question("hallusion_bench", **HALLUSION | {"visual_input": "0", "category": "VS"})
    assert "with picture" not in asked.labels
    assert "with picture" in question("hallusion_bench", **HALLUSION | {"visual_input": "1"}).labels


def test_a_json_answer_is_read_whatever_its_backslashes():
    response = json.dumps({"solution": "so \\frac{1}{2}", "short answer": "B"})
    assert verdict("dynamath", question("dynamath", **DYNAMATH_CHOICE), response).is_correct
