"""The answer checker against its table (`answer_cases.tsv`), hostile text, and properties that hold for all text."""

import subprocess
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vr1_ray.answers import accuracy_of, answers_match, compare

TABLE = Path(__file__).with_name("answer_cases.tsv")
PAIRS = Path(__file__).parents[3] / "examples" / "answer_checkers" / "pairs.tsv"


def rows_of(table):
    text = table.read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.split("\n")[1:] if line]
    return [[cell.replace("⏎", "\n") for cell in row] for row in rows]


CASES = rows_of(TABLE)
HOSTILE = [
    "9^9^9^9^9^9", "10^10^10^10", "9**9**9**9", "9" * 900, "5" * 20_000, "(" * 900, "((" * 400 + "1" + "))" * 400,
    "1e999", "1e999999999", "2^-" * 200 + "2", "\\frac{" * 100, "\\sqrt" * 100, "x" * 999, "-" * 1999,
    "5" + " " * 500 + "x", "1," * 400, "\\boxed{" * 120, "10^1000*10^1000*10^1000", "1.5^0.0001^(9^99)", "a=" * 300,
    "(1," * 200 + ")", "\x00\ud800", "²" * 900, "(((x+1)^99)^99)^99", "(x+1)^" * 90 + "9", "sin(" * 60 + "1" + ")" * 60,
    "500!*" * 70 + "1", "1 or " * 390 + "5", "so " * 600 + "5", "answer: " * 200 + "6", "is " * 600, "|" * 999,
    "\\text{" * 150 + "}" * 150, "*" * 1999, "√" * 999, "½" * 900, "5 " + "cm " * 400, "5 cm/" + "s/" * 400,
    "one hundred " * 150, "log_" * 200 + "2", "e^e^e^e^e^e", "±" * 200, "x>" * 300 + "1", "A," * 600, "(A) " * 400,
    "B or " * 390, "not " * 400 + "5", "because " * 240 + "6", "\\begin{pmatrix}" * 50, "1" + "0" * 1500,
    "\\frac{1}{" * 40 + "2" + "}" * 40, "3" * 45 + "^" + "3" * 45, "1.0000001^999999999", "-(" * 300 + "5" + ")" * 300,
    "{" + ",".join("{" + ",".join(map(str, range(j, j + 6))) + "}" for j in range(24)) + "}", "\\" * 1999, "^" * 1999,
    "__import__('os').system('true')", "0." + "3" * 1500, "sin 10^99", "1.2.3.4", "NaN", "\u202e5",
]  # fmt: skip
REFERENCES = [
    "5",
    "B",
    "yes",
    "x=5",
    "(1,2)",
    "0.33",
    "{1,2}",
    "x^2+1",
    "12 cm^2",
    "y=2x+1",
    "7:30",
]

plain_answers = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.tuples(st.integers(-99, 99), st.integers(1, 99)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.integers(2, 99).map(lambda number: f"2\\sqrt{{{number}}}"),
    st.sampled_from(["B", "yes", "12\\pi", "x^2+2x+1", "(1, 2)", "{1, 2}", "[0, 1)", "5 cm", "30^\\circ", "isosceles triangle"]),
)  # fmt: skip
NOISE = [
    "{}", "${}$", "\\boxed{{{}}}", "Final Answer: {}", "**{}**", "The answer is {}.", " {} ", "\\({}\\)", "\\text{{Answer: }}{}",
    "\\displaystyle {}", "So the answer is $\\boxed{{{}}}$.",
]  # fmt: skip
# Text made of what answers are made of reaches more of the code than text of any sign.
PIECES = (
    "0 1 2 9 . , : ; + - * / ^ = < > ( ) [ ] { } | _ ! % $ \\ x y A B e i \\frac \\sqrt \\pi \\text{ \\boxed{ \\begin{pmatrix}"
    " \\pm \\circ \\left( sin log cm m/s or and not yes the is because so answer three half bars : March PM ± ≤ √ ½ ² ∞ ∪ ，"
)  # fmt: skip
pieces = st.sampled_from([*PIECES.split(), "\n"])
any_text = st.one_of(
    st.text(max_size=300), st.lists(pieces, max_size=60).map("".join), st.lists(pieces, max_size=60).map(" ".join),
    st.lists(pieces, max_size=7).map(" ".join),  # short enough to be read as an answer
)  # fmt: skip


@pytest.mark.parametrize("category", sorted({case[0] for case in CASES}))
def test_the_verdict_is_that_of_the_table(category):
    wrong = [
        f"{answer!r} is answered {prediction!r}: {expected} ({reason})"
        for kind, expected, prediction, answer, reason in CASES
        if kind == category and answers_match(prediction, answer) != (expected == "yes")
    ]
    assert wrong == []


def test_the_table_is_wide_and_holds_as_many_wrong_answers_as_right_ones():
    expected = [case[1] for case in CASES]
    assert len(CASES) >= 250
    assert set(expected) == {"yes", "no"}
    assert 0.4 < expected.count("yes") / len(CASES) < 0.6
    assert len({(case[2], case[3]) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("prediction", HOSTILE)
def test_hostile_text_is_wrong_and_quick(prediction):
    for answer in REFERENCES:
        began = time.process_time()  # of this process alone, so a busy machine fails nothing
        assert not answers_match(prediction, answer)
        answers_match(answer, prediction)
        assert time.process_time() - began < 2


@settings(deadline=None, max_examples=300)
@given(any_text, any_text)
def test_no_text_raises_or_takes_two_seconds(prediction, answer):
    began = time.process_time()
    compare(prediction, answer)
    assert time.process_time() - began < 2


def test_answers_cut_joined_wrapped_and_made_up_raise_nothing_and_are_quick():
    command = [
        sys.executable,
        Path(__file__).with_name("fuzz.py"),
        "--pairs",
        "10000",
        "--seed",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert "10000 pairs (seed 0)" in done.stdout, done.stderr
    assert " 0 raised" in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout


def test_the_public_style_pairs_are_all_judged_rightly_and_no_wrong_answer_is_accepted():
    pairs = rows_of(PAIRS)
    assert len(pairs) >= 400
    assert len({tuple(pair[2:4]) for pair in pairs}) == len(pairs)
    assert 0.35 < sum(pair[1] == "yes" for pair in pairs) / len(pairs) < 0.65
    assert [pair for pair in pairs if answers_match(*pair[2:4]) != (pair[1] == "yes")] == []


@pytest.mark.parametrize(
    ("prediction", "answer", "is_match"),
    [
        (3, "3", True),
        ("3", 3, True),
        (3, 3.0, True),
        (Fraction(1, 2), "0.5", True),
        (Decimal("0.50"), "1/2", True),
        (0.1, "0.1", True),
        (3, "4", False),
        (None, "3", False),
        ("3", None, False),
        (None, None, False),
        (["3"], "3", False),
        (b"3", "3", False),
        (float("nan"), "3", False),
    ],
)
def test_numbers_are_taken_as_written_and_what_is_no_text_is_wrong(prediction, answer, is_match):
    assert answers_match(prediction, answer) == is_match


def test_the_response_of_a_model_that_said_nothing_is_wrong():
    assert accuracy_of("", 3) == 0.0
    assert accuracy_of("<answer> 3 </answer>", 3) == 1.0


@settings(deadline=None)
@given(any_text)
def test_a_text_says_the_same_as_itself(text):
    assert answers_match(text, text) or not text.strip()


@settings(deadline=None)
@given(plain_answers, plain_answers)
def test_without_decimals_in_the_reference_the_order_is_free(one, other):
    if "." not in one + other:  # a decimal reference is rounded to, a decimal prediction is not
        assert answers_match(one, other) == answers_match(other, one)


@settings(deadline=None)
@given(plain_answers, st.sampled_from(NOISE), st.sampled_from(NOISE))
def test_noise_around_an_answer_changes_nothing(answer, noise, more_noise):
    assert answers_match(noise.format(answer), answer)
    assert answers_match(noise.format(answer), more_noise.format(answer))


@settings(deadline=None)
@given(st.integers(1, 999), st.integers(1, 999))
def test_noise_around_a_wrong_answer_makes_it_no_righter(one, other):
    for noise in NOISE:
        assert answers_match(noise.format(one), str(other)) == (one == other)


@settings(deadline=None)
@given(st.integers(-99, 99), st.integers(1, 99), st.integers(1, 9))
def test_a_fraction_equals_its_multiples_and_no_other(numerator, denominator, factor):
    multiple = f"\\frac{{{numerator * factor}}}{{{denominator * factor}}}"
    assert answers_match(multiple, f"{numerator}/{denominator}")
    assert not answers_match(multiple, f"{numerator + 1}/{denominator}")


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 4))
def test_against_a_decimal_the_prediction_is_rounded_to_its_digits(number, digits):
    longer = f"{number // 10**5}.{number % 10**5:05d}"
    reference = f"{round(float(longer) + 1e-9, digits + 1):.{digits + 1}f}"
    assert answers_match(longer, reference)


def test_the_verdict_says_how_it_was_decided():
    assert compare("(B)", "B").how == "choice"
    assert compare("1/2", "0.5").how == "quantity"
    assert compare("The area is 5", "5").how == "quantity in a sentence"


def test_a_check_that_a_bound_cut_short_says_so():
    assert compare("5" * 3000, "5").is_bounded
    assert compare("10^10^10^10", "5").is_bounded
    assert not compare("6", "5").is_bounded


def test_answers_are_checked_the_same_on_any_thread():
    verdicts = []
    threads = [
        threading.Thread(target=lambda: verdicts.append([answers_match(*case[2:4]) for case in CASES[::7]]))
        for _ in range(3)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [[case[1] == "yes" for case in CASES[::7]]] * 3


def test_the_checker_loads_without_any_large_package():
    code = "import sys, vr1_ray.answers as a; a.answers_match('1/2', '0.5');"
    code += "print([name for name in ('torch', 'ray', 'transformers', 'sympy', 'math_verify') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("response", "answer", "accuracy"),
    [
        ("<think> x </think><answer> Final Answer:3 </answer>", "3", 1.0),
        ("<think> x </think><answer> 4 </answer> 3", "3", 0.0),
        ("5", "5", 1.0),
        ("The answer is 5.", "5", 1.0),
        ("There are two and three.\nSo the answer is 5.", "5", 1.0),
        ("The answer is 5. Wait, no", "5", 0.0),
        ("<think> I see 5", "5", 0.0),
        ("", "5", 0.0),
    ],
)
def test_accuracy_reads_the_answer_block_else_the_whole_response(response, answer, accuracy):
    assert accuracy_of(response, answer) == accuracy


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [("C = s old", "(2, 1)"), (r"%Final\textcolor{red}{\pi\left(√Answermod≤x_1", "y = 5x total")],
)
def test_a_relation_with_words_beside_its_letters_is_compared_and_wrong(prediction, answer):
    assert not answers_match(prediction, answer)
    assert not answers_match(answer, prediction)
