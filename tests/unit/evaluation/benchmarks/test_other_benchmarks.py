"""The rules of the other benchmarks, one hand-made row each, and the scores that are no plain mean."""

import json

import pytest

from tests.unit.evaluation.questions import question, run, verdict, wrapped
from vr1_ray.data.images import ImageReader
from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation import Judged, Verdict, make_benchmark
from vr1_ray.evaluation.benchmarks.chartqa import relaxed
from vr1_ray.evaluation.benchmarks.mm_math import judge
from vr1_ray.evaluation.benchmarks.we_math import split_options
from vr1_ray.evaluation.rows import Row

DYNAMATH = {
    "id": "1", "question": "Period?", "ground_truth": "2.0944", "answer_type": "float", "subject": "algebra",
    "knowledge_level": "high school",
}  # fmt: skip
DYNAMATH_CHOICE = DYNAMATH | {
    "question": "Is it even? Choices: (A) yes (B) no", "ground_truth": "B", "answer_type": "multiple choice",
}  # fmt: skip
DYNAMATH_TEXT = DYNAMATH | {"ground_truth": "May", "answer_type": "text"}
WE_MATH = {
    "ID": "2steps_1", "question": "The circumference?", "answer": "B", "key": "2steps_1", "question number": 1,
    "option": "A. 300, 400;B. 400, 300; C. 3000, 4000; D. 4000, 3000; E. No correct answer",
}  # fmt: skip
MATH_VISION = {
    "id": "2",
    "question": "Area?\n<image1>",
    "options": [],
    "answer": "3.14",
    "level": 2,
    "subject": "algebra",
}
MATH_VISION_CHOICE = MATH_VISION | {"options": ["1", "2", "3", "4", "5"], "answer": "D"}
GEOMETRY = {"problem": "<image>Find x.", "answer": "2 \\sqrt { 221 }", "id": 5}
GEOMETRY_SIX = GEOMETRY | {"choices": ["3", "2 \\sqrt { 221 }", "5", "6"], "ground_truth": "B"}
MMSTAR = {
    "index": 3, "question": "What is it?\nOptions: A: cat, B: dog, C: cow, D: hen", "answer": "B", "category": "math",
    "l2_category": "geometry",
}  # fmt: skip
CHARTQA = {"type": "human_test", "question": "How many?", "answer": "14"}
HALLUSION = {
    "category": "VD", "subcategory": "illusion", "set_id": "0", "figure_id": "0", "question_id": "0",
    "question": "Is it?", "gt_answer": "1", "gt_answer_details": "It is.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row", "answer", "is_correct"),
    [
        ("dynamath", DYNAMATH, "2.0944", True),
        ("dynamath", DYNAMATH, "2.094", True),  # within 0.001
        ("dynamath", DYNAMATH, "2.09", False),
        ("dynamath", DYNAMATH, "2π/3", True),
        ("dynamath", DYNAMATH, "about 2.094 seconds", True),
        ("dynamath", DYNAMATH, "two thirds of a turn", False),
        ("dynamath", DYNAMATH_CHOICE, "B", True),
        ("dynamath", DYNAMATH_CHOICE, "no", True),
        ("dynamath", DYNAMATH_CHOICE, "A", False),
        ("dynamath", DYNAMATH_TEXT, "may", True),
        ("dynamath", DYNAMATH_TEXT, "the month of May, at noon", True),  # it holds the reference
        ("dynamath", DYNAMATH_TEXT, "maybe", False),
        ("dynamath", DYNAMATH_TEXT, "not in May", False),
        ("dynamath", DYNAMATH_TEXT, "May or June", False),
        ("we_math", WE_MATH, "B", True),
        ("we_math", WE_MATH, "400, 300", True),
        ("we_math", WE_MATH, "E", False),
        ("math_vision", MATH_VISION, "3.14", True),
        ("math_vision", MATH_VISION, "3.1416", True),  # two decimals
        ("math_vision", MATH_VISION, "3.15", False),
        ("math_vision", MATH_VISION_CHOICE, "D", True),
        ("math_vision", MATH_VISION_CHOICE, "4", True),  # the option's text
        ("math_vision", MATH_VISION_CHOICE, "5", False),
        ("geometry3k", GEOMETRY, "2\\sqrt{221}", True),
        ("geometry3k", GEOMETRY, "29.7", False),  # an exact reference wants the exact value
        ("geometry3k", GEOMETRY, "B", False),  # no options known
        ("geometry3k", GEOMETRY_SIX, "B", True),
        ("geometry3k", GEOMETRY_SIX, "A", False),
        ("mmstar", MMSTAR, "B", True),
        ("mmstar", MMSTAR, "dog", True),
        ("mmstar", MMSTAR, "a hen", False),
        ("chartqa", CHARTQA, "14", True),
        ("chartqa", CHARTQA, "14.7", True),  # 5 %
        ("chartqa", CHARTQA, "14.8", False),
        ("chartqa", CHARTQA, "14 bars", True),
        ("chartqa", CHARTQA | {"answer": "0.23"}, "23%", True),
        ("chartqa", CHARTQA | {"answer": "0"}, "0.0", False),  # a reference of 0 wants the same text
        ("chartqa", CHARTQA | {"answer": "Yes"}, "yes", True),
        ("chartqa", CHARTQA | {"answer": "[2010, 2015]"}, "2015", True),  # any of the list
        ("hallusion_bench", HALLUSION, "Yes", True),
        ("hallusion_bench", HALLUSION, "No", False),
        ("hallusion_bench", HALLUSION, "Yes and no", False),
        ("hallusion_bench", HALLUSION, "It is not yes", False),
        ("mme", {"category": "count", "question": "Two?", "answer": "No", "question_id": "1"}, "No.", True),
        ("mme", {"category": "count", "question": "Two?", "answer": "No", "question_id": "1"}, "Yes", False),
        ("mm_math", {"question": "x?", "solution": r"So $\boxed{45}$", "image": None, "index": "1"}, "45°", True),
    ],
)  # fmt: skip
def test_the_rule_of_each_benchmark(name, row, answer, is_correct, monkeypatch):
    monkeypatch.setattr("vr1_ray.evaluation.benchmarks.mm_math._named_image", lambda row: ())
    found = verdict(name, question(name, **row), wrapped(answer))
    assert found.is_correct is is_correct, found


@pytest.mark.parametrize(
    ("reference", "prediction", "how"),
    [
        (r"so $\boxed{12cm}$", r"$\boxed{12}$", "same text"),
        ("12", "12.01", "number within 0.01"),
        ("12", "12.02", "different"),
        ("0.5", "50", "number as percent"),  # 100 g
        ("50", "0.5", "number as percent"),  # g / 100
        (r"\boxed{3} and \boxed{4}", r"\boxed{4},\boxed{3}", "same text"),  # in any order
        (r"\boxed{3} and \boxed{4}", r"\boxed{3}", "different"),
        (r"\pm 2", "2,-2", "number within 0.01"),
        (r"\frac{\sqrt{3}}{2}", "0.866", "number within 0.01"),
        ("2x+1", "1+2x", "expression"),
        ("x=5", "5", "number within 0.01"),
        ("y=2x+1", "y = 1 + 2x", "equation"),
        ("[2,3)", "[2,3]", "different"),
        (r"\boxed{5", r"\boxed{5", "different"),  # unbalanced braces
        ("text\nthe answer is $7$", "7", "same text"),
    ],
)
def test_mm_math_compares_as_its_scoring_judge(reference, prediction, how):
    assert judge(reference, prediction) == how


@pytest.mark.parametrize(
    ("prediction", "reference", "is_right"),
    [("105", "100", True), ("94.9", "100", False), ("23%", "0.23", True), ("x", "X", True)],
)
def test_relaxed_accuracy(prediction, reference, is_right):
    assert bool(relaxed(prediction, reference)) is is_right


def test_the_harness_takes_five_percent_of_the_prediction():
    asked = question("chartqa", **CHARTQA | {"answer": "100"})
    found, _ = run(make_benchmark("chartqa").paper_check(asked, "105.2"))
    assert found.is_correct  # |105.2 - 100| is 4.9 % of 105.2, but 5.2 % of 100
    assert not verdict("chartqa", asked, wrapped("105.2")).is_correct


def test_dynamaths_harness_never_reads_the_json_it_asks_for():
    asked = question("dynamath", **DYNAMATH_TEXT)
    benchmark = make_benchmark("dynamath")
    assert "short answer" in benchmark.paper_text(asked)
    found, _ = run(benchmark.paper_check(asked, '{"solution": "s", "short answer": "May"}'))
    assert not found.is_correct
    found, requests = run(benchmark.paper_check(question("dynamath", **DYNAMATH), "2.0940"))
    assert found.is_correct
    assert requests == []


def judged(name, *rows):
    """Questions with whether each is right."""
    return [
        Judged(
            question=question(name, **row),
            verdicts=(Verdict(is_correct=is_right, rule="by hand"),),
        )
        for row, is_right in rows
    ]


def values(name, *rows):
    return {score.name: score.value for score in make_benchmark(name).scores(judged(name, *rows))}


def test_dynamaths_worst_case_wants_all_variants_of_a_question():
    row = DYNAMATH | {"varid": "1"}
    found = values(
        "dynamath", (row, True), (row | {"varid": "2"}, False), (row | {"id": "2"}, True)
    )
    assert found["average"] == pytest.approx(2 / 3)
    assert found["worst case"] == 0.5  # question 1 fails in a variant, question 2 does not


def test_we_maths_four_dimensions_by_hand():
    def problem(number, first, second, whole):
        row = WE_MATH | {"ID": f"2steps_{number}"}
        keys = zip(("2steps_1", "2steps_2", "2steps_multi"), (first, second, whole), strict=True)
        return [
            (row | {"key": key, "question number": 10 * number + place}, is_right)
            for place, (key, is_right) in enumerate(keys)
        ]

    rows = [
        *problem(1, True, True, True),  # CM
        *problem(2, True, True, False),  # IG
        *problem(3, True, False, True),  # RM if strict, CM if loose
        *problem(4, False, False, True),  # RM
        *problem(5, False, True, False),  # IK
    ]
    found = values("we_math", *rows)
    assert found["score (strict)"] == pytest.approx((5 - 0.5 - 2 - 1) / 5)
    assert found["score (loose)"] == pytest.approx((5 - 0.5 - 1 - 1) / 5)
    assert found["RM rate (strict)"] == pytest.approx(2 / 3)
    assert found["RM rate (loose)"] == pytest.approx(1 / 3)
    assert found["S1"] == pytest.approx(6 / 10)
    assert found["S2"] == pytest.approx(3 / 5)


def test_hallusion_bench_counts_questions_figures_and_groups():
    figure_two = HALLUSION | {"figure_id": "1"}
    rows = [
        (HALLUSION, True),
        (HALLUSION | {"question_id": "1"}, True),
        (figure_two, True),
        (figure_two | {"question_id": "1"}, False),
        (HALLUSION | {"category": "VS"}, False),  # VS figure 0 is no figure
    ]
    found = values("hallusion_bench", *rows)
    assert found["aAcc"] == pytest.approx(3 / 5)
    assert found["fAcc"] == pytest.approx(1 / 2)
    assert found["qAcc"] == pytest.approx(1 / 3)
    assert found["overall"] == pytest.approx((3 / 5 + 1 / 2 + 1 / 3) / 3)


def test_we_maths_options_are_split_at_letters_not_at_commas():
    assert split_options(WE_MATH["option"])[:2] == ("300, 400", "400, 300")


def test_we_maths_domains_are_means_over_their_concepts(tmp_path):
    nodes = [
        {"root2": "Circles", "full node": "Geometry_Circles_Area of Circles"},
        {"root2": "Circles", "full node": "Geometry_Circles_Circumference"},
    ]
    (tmp_path / "knowledge_structure_nodes.json").write_text(json.dumps(nodes))
    benchmark, reader = make_benchmark("we_math"), ImageReader(tmp_path, 1_000_000)

    def one(number, concept, is_right, key="2steps_1"):
        columns = WE_MATH | {"question number": number, "knowledge concept": concept, "key": key}
        asked = benchmark.question(Row(columns, reader, table="rows", number=number))
        return Judged(question=asked, verdicts=(Verdict(is_correct=is_right, rule="by hand"),))

    judged = [
        one(1, "Area of Circles", True),
        one(2, "Area of Circles", False),
        one(3, "Area of Circles", False),
        one(4, "Circumference", True),
        one(5, "Circumference;Area of Circles", True, "2steps_multi"),  # of no single concept
    ]
    found = {score.name: score.value for score in benchmark.groups(judged)}
    assert found["concept: Area of Circles"] == pytest.approx(1 / 3)
    assert found["domain: Circles"] == pytest.approx((1 / 3 + 1) / 2)
    assert set(found) == {"concept: Area of Circles", "concept: Circumference", "domain: Circles"}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "knowledge_structure_nodes.json").write_text('[{"root2": "x"}]')
    broken = ImageReader(tmp_path / "broken", 1_000_000)
    row = Row(WE_MATH | {"knowledge concept": "x"}, broken, table="rows", number=0)
    with pytest.raises(DataError, match="is no list of nodes"):
        benchmark.question(row)


def test_mmes_points_count_questions_and_pictures_with_both_right():
    def pair(category, number, first, second):
        row = {
            "question_id": f"{category}/{number}.png",
            "category": category,
            "question": "Is it? Please answer yes or no.",
        }
        return [
            (row | {"answer": "Yes", "index": f"{category}{number}a"}, first),
            (row | {"answer": "No", "index": f"{category}{number}b"}, second),
        ]

    found = values(
        "mme",
        *pair("count", 1, True, True),
        *pair("count", 2, True, False),
        *pair("color", 1, True, True),
        *pair("code_reasoning", 1, False, False),
    )
    assert found["count"] == pytest.approx((3 / 4 + 1 / 2) / 2)  # 125 of 200 points
    assert found["perception"] == pytest.approx((0.625 + 1.0) / 2)
    assert found["cognition"] == 0.0
    assert found["score"] == pytest.approx((0.625 + 1.0 + 0.0) / 3)
    assert found["accuracy"] == pytest.approx(5 / 8)
