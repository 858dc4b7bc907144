"""The table of the answer checker: prediction, reference, verdict, why."""

import time

import pytest

from vr1_ray.rewards import accuracy_of, answers_match, compare

EQUAL = [
    ("5", "5", "same"), ("Final Answer:5", "5", "prefix"), ("Final Answer: **5**", "5", "bold"),
    ("The answer is 5.", "5", "sentence"), ("Final Answer: The answer is 5", "5", "two prefixes"),
    ("11", "11.0", "value"), ("05", "5", "leading zero"), ("+5", "5", "sign"), ("-3", "−3", "minus sign"),
    ("1,000", "1000", "thousands"), ("1,234,567", "1234567", "thousands"), ("1.5e3", "1500", "scientific"),
    ("1/2", "0.5", "fraction"), ("2/4", "1/2", "unreduced"), ("1 1/2", "1.5", "mixed"),
    ("\\frac{1}{2}", "0.5", "LaTeX"), ("\\dfrac{1}{2}", "1/2", "LaTeX"), ("\\frac12", "1/2", "LaTeX"),
    ("$\\frac{3}{4}$", "0.75", "dollars"), ("\\boxed{7}", "7", "box"), ("So \\boxed{\\frac{1}{2}}", "1/2", "box"),
    ("\\text{5}", "5", "text"), ("\\left(3\\right)", "3", "left right"), ("½", "1/2", "sign"),
    ("2√3", "2\\sqrt{3}", "root"), ("\\sqrt{12}", "2\\sqrt{3}", "root simplified"), ("2sqrt(3)", "\\sqrt{12}", "root"),
    ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}", "rationalised"), ("12π", "12\\pi", "pi"),
    ("π/2", "\\frac{\\pi}{2}", "pi"), ("1/3", "0.33", "rounds to it"), ("0.3333", "0.33", "rounds to it"),
    ("\\pi", "3.14", "rounds to it"), ("0.50", "0.5", "value"), ("2/3", "0.667", "rounds up"),
    ("50%", "0.5", "percent"), ("50\\%", "50", "percent"), ("28", "28%", "percent"), ("0.5", "50%", "percent"),
    ("5 cm", "5", "unit"), ("5", "5 cm", "unit"), ("5cm", "5 centimeters", "unit spelled"),
    ("12 cm^2", "12 square cm", "square"), ("12 cm²", "12", "square"), ("30°", "30", "degrees"),
    ("30^\\circ", "30 degrees", "degrees"), ("30^{\\circ}", "30°", "degrees"), ("5 units", "5", "units"), ("5m", "5", "unit"),
    ("$5", "5", "dollar"), ("B", "B", "letter"), ("b", "B", "letter"), ("(B)", "B", "letter"), ("B", "(B)", "letter"),
    ("B. 3", "B", "option text"), ("B: 3", "B", "option text"), ("(B) 3 cm", "B", "option text"),
    ("option B", "B", "option"), ("Option (C)", "C", "option"), ("Final Answer:B", "B", "prefix"), ("B.", "B", "period"),
    ("\\text{B}", "B", "LaTeX"), ("\\boxed{C}", "C", "box"), ("A. yes and no", "A", "option text"),
    ("x=5", "5", "equation"), ("5", "x = 5", "equation"), ("x = 5", "x=5", "equation"), ("AB = 12", "12", "segment"),
    ("∠ABC = 40°", "40", "angle"), ("\\angle A = 40", "40", "angle"), ("y = 2x + 1", "y=1+2x", "relation"),
    ("2x - y = -1", "y=2x+1", "relation"), ("(x+1)^2", "x^2+2x+1", "expanded"), ("x(x+2)", "x^2+2x", "expanded"),
    ("(1, 2)", "(1,2)", "tuple"), ("(0.5, 2)", "(1/2,2)", "tuple"), ("[1,2)", "[1, 2)", "interval"),
    ("{2,1}", "{1,2}", "set"), ("1 and 2", "2 and 1", "list"), ("1, 2", "2, 1", "list"), ("3:4", "3:4", "ratio"),
    ("yes", "Yes", "case"), ("Yes.", "yes", "period"), ("Yes, because AB = CD", "yes", "reason"),
    ("the circle", "circle", "article"), ("\"red\"", "red", "quotes"), ("three", "3", "number word"), ("3", "Three", "number word"),
    ("isosceles triangle", "Isosceles Triangle", "case"), ("**Final Answer:** 12", "12", "bold prefix"),
]  # fmt: skip
DIFFERENT = [
    ("6", "5", "value"), ("", "5", "empty"), ("   ", "5", "blank"), ("-5", "5", "sign"), ("3.14", "\\pi", "pi is exact"),
    ("0.3333", "1/3", "exact reference"), ("0.3", "0.33", "fewer digits"), ("4.9999", "5", "exact reference"),
    ("3", "3.14", "fewer digits"), ("0.34", "0.33", "digits"), ("28", "0.28", "no percent"), ("5 cm", "5 m", "units"),
    ("30 degrees", "30 cm", "units"), ("5 cm", "5 cm^2", "power of unit"), ("3 or 5", "3", "hedge"), ("3, 5", "3", "two"),
    ("3 and 5", "3", "two"), ("C", "B", "letter"), ("3", "B", "a value is no letter"), ("B or C", "B", "hedge"),
    ("A, B, C, D", "B", "all options"), ("A", "3", "letter for a value"), ("not B", "B", "negation"), ("B, C", "B", "two letters"),
    ("Bad", "B", "word"), ("no", "yes", "word"), ("not yes", "yes", "negation"), ("on", "no", "anagram"), ("eys", "yes", "anagram"),
    ("isosceles triangle", "triangle", "kind"), ("triangle", "right triangle", "kind"), ("y=2x+1", "2x+1", "relation"),
    ("y=2x+1", "y=2x+2", "relation"), ("x=6", "5", "value"), ("(1,2)", "(2,1)", "ordered"), ("[1,2)", "[1,2]", "interval end"),
    ("{1,2}", "{1,3}", "set"), ("1, 2, 3", "1, 2", "longer list"), ("3:4", "4:3", "ratio"), ("\\sqrt{3}", "3", "root"),
    ("2\\pi", "\\pi", "pi"), ("x+1", "x+2", "expression"), ("(x+1)^2", "x^2+1", "expression"), ("1/2", "2", "fraction"),
    ("12", "1,200", "thousands"), ("red", "blue", "word"), ("yes or no", "yes", "hedge"), ("__import__('os')", "5", "code"),
    ("2*3", "5", "value"), ("1/0", "5", "no value"), ("5", "1/0", "no value"),
]  # fmt: skip
HOSTILE = [
    "9^9^9^9^9^9", "9" * 900, "(" * 900, "((" * 400 + "1" + "))" * 400, "1e999", "1e999999999", "2^-" * 200 + "2",
    "\\frac{" * 100, "\\sqrt" * 100, "x" * 999, "-" * 999, "5" + " " * 500 + "x", "1,"*400, "\\boxed{" * 120, "5" * 20_000,
    "10^1000*10^1000*10^1000", "1.5^0.0001^(9^99)", "a=" * 300, "(1," * 200 + ")", "\x00\ud800", "²" * 900,
]  # fmt: skip


@pytest.mark.parametrize(("prediction", "answer", "why"), EQUAL)
def test_an_answer_that_says_the_same_is_right(prediction, answer, why):
    assert answers_match(prediction, answer), why


@pytest.mark.parametrize(("prediction", "answer", "why"), DIFFERENT)
def test_an_answer_that_says_something_else_is_wrong(prediction, answer, why):
    assert not answers_match(prediction, answer), why


@pytest.mark.parametrize("prediction", HOSTILE)
@pytest.mark.parametrize("answer", ["5", "B", "yes", "x=5", "(1,2)", "0.33"])
def test_hostile_text_is_wrong_and_quick(prediction, answer):
    began = time.monotonic()
    assert not answers_match(prediction, answer)
    answers_match(answer, prediction)
    assert time.monotonic() - began < 0.5


def test_the_verdict_says_how_it_was_decided():
    assert compare("(B)", "B").how == "letter"
    assert compare("1/2", "0.5").how == "value"
    assert compare("5" * 2000, "5").is_bounded


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
