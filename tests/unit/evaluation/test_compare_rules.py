"""The same responses to figure_math under every benchmark's rules: equal verdicts, and every difference by its rule."""

import sys
from pathlib import Path

import pytest

from vr1_ray.evaluation import BENCHMARKS, find_answer, make_benchmark
from vr1_ray.figure_math.dataset import random_items

EXAMPLE = Path(__file__).parents[3] / "examples" / "evaluation"
sys.path.insert(0, str(EXAMPLE))

from compare_rules import compare, question_of, report  # noqa: E402
from layouts import item_of  # noqa: E402

pytestmark = pytest.mark.slow

# What a benchmark's rule judges otherwise than the checker, on the responses below: (rule, its verdict).
DIFFERENCES = {
    "mathvista": {
        ("integer, truncated: a number", True),  # "6.5" is 6
        (
            "option text, the same",
            True,
        ),  # the text of an option where the checker only knows its letter
        ("cut, no answer", False),  # a cut response that begins with the answer
    },
    "mathverse": {("option text, the same", True), ("cut, no answer", False)},
    "mm_math": {
        ("AutoScoringJudge: number as percent", True),  # 600 for 6
        ("cut, no answer", False),
    },
    "dynamath": {("option text, the same", True), ("cut, no answer", False)},
    "we_math": {("option text, the same", True), ("cut, no answer", False)},
    "math_vision": {("option text, the same", True), ("cut, no answer", False)},
    "geometry3k": {("cut, no answer", False)},
    "mmstar": {("option text, the same", True), ("cut, no answer", False)},
    "chartqa": {
        ("within 5 %", True),
        ("within 5 %, unit dropped", True),  # 1204/100 is no number to the published rule, 12.04 is
        ("cut, no answer", False),
    },
    "mme": {("cut, no answer", False)},
    "hallusion_bench": {("cut, no answer", False)},
}


def responses(item):
    """Hand-made responses to one question: right, wrong, in words, without a block, cut."""
    right = item.letter if item.choices else item.answer
    wrong = next(option for option in item.options if option != item.answer)
    wrong = "ABCD"[item.options.index(wrong)] if item.choices else wrong
    texts = [
        f"<think> I look. </think><answer> Final Answer:{right} </answer>",
        f"<think> I look. </think><answer>{right}</answer>",
        f"<think> I look. </think><answer> Final Answer:{wrong} </answer>",
        f"The answer is {right}.",
        right,
        wrong,
        "",
        "<think> I look",
        f"<think> I look. </think><answer> Final Answer:{item.answer} </answer>",
    ]
    if item.is_number and not item.choices:
        texts += [
            f"<answer> {item.answer}.5 </answer>",
            f"<answer> {item.answer}00 </answer>",
            f"<answer> {100 * int(item.answer) + 4}/100 </answer>",
        ]
    cases = [(item, text, False) for text in texts]
    return [*cases, (item, right, True)]


@pytest.fixture(scope="module")
def cases():
    drawn = random_items("test", 11, 14)
    items = [
        item_of(number, figure, question) for number, (figure, question, _) in enumerate(drawn, 1)
    ]
    assert {bool(item.choices) for item in items} == {True, False}
    return [case for item in items for case in responses(item)]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_verdicts_differ_only_where_a_rule_of_the_benchmark_does(name, cases):
    number, differences = compare(name, cases)
    assert number > 10
    found = {(one.rule, one.by_benchmark) for one in differences}
    assert found <= DIFFERENCES[name]
    assert not any(rule.startswith("checker") for rule, _ in found)


HOSTILE = [
    "∞", "-\\infty", "7inf/2", "nan", "1e999999", "1e-999999", "9" * 5000, "about " + "9" * 5000, "3:0", "3 red: 4", "[" * 300,
    "[1e999, nan]", "[9**9**9]", "²", "\x00", "{}", "A" * 3000, "(B) or (C)", "$" * 999, "=" * 99, "5=", "%", "1/0", "\\frac{1}{0}",
]  # fmt: skip


@pytest.mark.parametrize("name", BENCHMARKS)
def test_no_response_ends_an_evaluation_or_is_right_by_being_odd(name, cases):
    items = list({item.number: item for item, _, _ in cases}.values())
    judged = 0
    for item in items:
        question = question_of(name, item)
        if question is None:
            continue
        for text in HOSTILE:
            response = f"<think> I look. </think><answer> Final Answer:{text} </answer>"
            verdict = make_benchmark(name).check(question, find_answer(response, is_cut=False))
            assert not verdict.is_correct or verdict.rule.endswith("edit distance"), (text, verdict)
            judged += 1
    assert judged >= len(HOSTILE)


def test_the_report_names_every_difference(cases):
    text = report(cases)
    assert all(f"{name}: " in text for name in BENCHMARKS)
    assert "wrong by rule 'cut, no answer'" in text
