"""Rows of ours in the published columns and responses to them, for compare_official.py: (row, response, what it answers).

The responses have the forms that each benchmark's own prompt asks for, and what models make of them.
"""

import json
from collections.abc import Iterator
from typing import Any

from official_pairs import FINAL, Case, mathverse
from official_yes_no import hallusion_bench, mme

LETTERED = ("A", "B", "C", "D", "(A)", "(B)", "(C)", "(D)", "A.", "B.", "C.", "b", "Z")


def _vista(
    kind: str, answer: str, choices: list[str] | None = None, precision: float | None = None
) -> dict[str, Any]:
    return {
        "pid": "1", "query": "Hint: ...\nQuestion: What?", "choices": choices, "answer": answer, "answer_type": kind,
        "question_type": "multi_choice" if choices else "free_form", "precision": precision,
        "metadata": {"task": "math word problem", "skills": ["algebraic reasoning"]},
    }  # fmt: skip


def mathvista() -> Iterator[Case]:
    """Choices, integers, decimals and lists; what a response answers is what the official extractor is asked for."""
    angles = ["135°", "140°", "145°", "150°"]
    plan = [
        (_vista("text", "145°", angles), [*LETTERED, *angles, "(C) 145°", "145 °", "none of these"]),
        (_vista("text", "No", ["Yes", "No"]), ["Yes", "No", "A", "B", "(B)", "no", "(A) Yes", "unclear"]),
        (_vista("text", "blue", ["red", "blue", "dark blue"]), ["blue", "bleu", "B", "C", "red", "dark bleu"]),
        (_vista("integer", "14"), ["14", "14.0", "14.7", "15", "13.99", "-14", "014", "1.4e1", "140", "fourteen"]),
        (_vista("integer", "0"), ["0", "0.9", "-0.5", "1", "0.0", "00"]),
        (_vista("float", "1.2", precision=1.0), ["1.2", "1.24", "1.26", "1.20", "1.3", "12", "1.15"]),
        (_vista("float", "0.25", precision=2.0), ["0.25", "0.251", "0.255", "0.26", ".25", "0.3", "25"]),
        (_vista("list", "[2007, 2008]"), ["[2007, 2008]", "[2008, 2007]", "[2007]", "[2007, 2009]"]),
    ]  # fmt: skip
    for row, answers in plan:
        for answer in answers:
            for template in FINAL:
                yield row, template.format(answer), answer


def mm_math() -> Iterator[Case]:
    """Boxed answers and formulas of the last line."""
    plan = {
        "$\\boxed{12}$": ["12", "12.01", "12.02", "12cm", "13", "0.12", "1200", "12^\\circ"],
        "$\\boxed{0.75}$": ["0.75", "75", "0", "\\frac{3}{4}", "0.74", "0.8", "7.5"],
        "$\\boxed{\\frac{3}{4}}$": ["\\frac{3}{4}", "0.75", "0", "75", "\\frac{6}{8}", "\\frac{4}{3}"],
        "$\\boxed{\\frac{\\sqrt{3}}{2}}$": ["\\frac{\\sqrt{3}}{2}", "0.866", "86.6", "\\frac{\\sqrt{2}}{2}"],
        "$\\boxed{3}$ and $\\boxed{4}$": ["3", "3,4", "4,3", "3,5", "3.005,4"],
        "$\\boxed{[2,3)}$": ["[2,3)", "[2,3.005)", "[2,3]", "(2,3)", "[2,3.05)"],
        "$\\boxed{(1,2)}$": ["(1,2)", "(2,1)", "(1,2.005)", "(1,200)"],
        "$\\boxed{1<x<3}$": ["1<x<3", "(1,3)", "1<x<4"],
        "$\\boxed{2x+1}$": ["2x+1", "1+2x", "2x+2", "x+1"],
        "$\\boxed{y=2x+1}$": ["y=2x+1", "y=1+2x", "2x+1", "y=2x-1", "y-2x=1"],
        "$\\boxed{\\pm 2}$": ["\\pm 2", "2,-2", "2", "-2,2"],
        "$\\boxed{x=5}$": ["5", "x=5", "x=6", "y=5"],
    }  # fmt: skip
    for solution, answers in plan.items():
        row = {"question": "What?", "solution": solution, "index": "1", "image": None}
        for answer in answers:
            yield row, f"We add both.\nThe answer is $\\boxed{{{answer}}}$.", answer
            yield (
                row,
                f"First the sides, and then the angles of the figure, one by one.\nSo it is ${answer}$",
                answer,
            )
            several = " and ".join(f"\\boxed{{{part}}}" for part in answer.split(","))
            if "," in answer and answer[0] not in "([":
                yield row, f"So {several}", answer
            yield row, f"Thus\n\\boxed{{{answer}}}", answer


def dynamath() -> Iterator[Case]:
    """The JSON that its prompt asks for."""
    base = {
        "id": "1",
        "question": "Period?",
        "subject": "algebra",
        "knowledge_level": "high school",
    }
    choice = base | {
        "question": "Even? choice: (A) Yes (B) No (C) Both",
        "ground_truth": "B",
        "answer_type": "multiple choice",
    }
    floats = [
        "2.0944",
        "2.094",
        "2.095",
        "2.0954",
        "2.1",
        "0.6667π",
        "2.0944 seconds",
        "-2.0944",
        "2",
    ]
    plan = [
        (base | {"ground_truth": "2.0944", "answer_type": "float"}, floats),
        (base | {"ground_truth": "0.0", "answer_type": "float"}, ["0", "0.0", "0.0005", "0.002", "-0.001"]),
        (base | {"ground_truth": "12.0", "answer_type": "float"}, ["12", "12.0", "12.000", "12.5", "1.2e1", "11.9995"]),
        (choice, ["A", "B", "C", "(B)", "B.", "B. No", "(A) Yes", "b", "A, B"]),
        (base | {"ground_truth": "May", "answer_type": "text"}, ["May", "may", "in May", "June", "the month of May"]),
        (base | {"ground_truth": "red", "answer_type": "text"}, ["red", "blue", "Red", "the red one"]),
    ]  # fmt: skip
    for row, answers in plan:
        for answer in answers:
            content = {"solution": "We read it off.", "short answer": answer}
            yield row, json.dumps(content, ensure_ascii=False), answer
            yield row, f"```json\n{json.dumps(content, indent=4, ensure_ascii=False)}\n```", answer
            yield (
                row,
                json.dumps(content | {"solution": "so \\frac{1}{2}"}, ensure_ascii=False),
                answer,
            )
            yield row, f"Here it is: {json.dumps(content, ensure_ascii=False)}", answer


def we_math() -> Iterator[Case]:
    """Its own template, and shorter forms of it."""
    option = "A. 300, 400;B. 400, 300; C. 3000, 4000; D. 4000, 3000; E. No correct answer"
    said = [
        "A",
        "B",
        "C",
        "D",
        "E",
        "A. 300, 400",
        "B. 400, 300",
        "C. 3000, 4000",
        "E. No correct answer",
        "400, 300",
    ]
    templates = (
        "<Thought process>: <<I read both sides off.>> <Answer>: <<{}>>",
        "<Thought process>: <<I read both sides off, and A is the long one.>>\n<Answer>: <<{}>>",
        "Thought process: I read both sides off.\nAnswer: {}",
        "<Answer>: {}",
    )
    for right in "ABE":
        row = {
            "ID": "2steps_1",
            "question": "How long?",
            "answer": right,
            "key": "2steps_1",
            "question number": 1,
            "option": option,
        }
        for answer in said:
            for template in templates:
                yield row, template.format(answer), answer
            yield (
                row,
                f"<Answer>: <<({answer[0]})>>" if answer[0].isalpha() else "<Answer>: <<F>>",
                answer,
            )
            yield row, f"The sides are read off the figure.\n\n<Answer>: <<{answer}.>>", answer


def math_vision() -> Iterator[Case]:
    """Boxes, and the sentences that its scorer knows."""
    plan = [
        ([], "3.14", ["3.14", "3.1416", "3.15", "\\pi", "3.14\\text{cm}", "x=3.14", "314"]),
        ([], "60", ["60", "60°", "60^\\circ", "60.001", "61", "\\frac{120}{2}", "60\\%"]),
        ([], "\\frac{1}{3}", ["\\frac{1}{3}", "1/3", "0.33", "0.34", "0.3"]),
        (["1", "2", "3", "4", "5"], "D", ["D", "4", "5", "E", "(D)", "4.00", "d", "1"]),
        (["3.14", "2.5", "$\\frac{1}{3}$", "7", "9"], "C", ["C", "\\frac{1}{3}", "0.333", "0.3", "A", "3.14", "3.142"]),
        (["A", "B", "C", "D", "E"], "B", ["A", "B", "C", "(B)", "b", "2"]),
    ]  # fmt: skip
    for options, gold, answers in plan:
        row = {
            "id": "1",
            "question": "Which?\n<image1>",
            "options": options,
            "answer": gold,
            "level": 2,
            "subject": "algebra",
        }
        for answer in answers:
            yield row, f"So we get \\boxed{{{answer}}}", answer
            yield row, f"First \\boxed{{77}}, but no:\n$\\boxed{{{answer}}}$", answer
            yield row, f"I add both sides of the figure. The answer is {answer}", answer
            yield row, f"I add both sides of the figure. The correct answer is {answer}\n", answer


def geometry3k() -> Iterator[Case]:
    """Boxes, as the RL frameworks read them."""
    plan = {
        "2 \\sqrt { 221 }": ["2\\sqrt{221}", "2 \\sqrt { 221 }", "\\sqrt{884}", "29.7", "29.73", "2\\sqrt{22}", "B"],
        "11": ["11", "11.0", "\\frac{22}{2}", "12", "11.5", "x=11", "C"],
        "8.5": ["8.5", "\\frac{17}{2}", "8.50", "8.54", "9", "8.4"],
        "\\frac { 1 } { 2 }": ["\\frac{1}{2}", "0.5", "1/2", "2", "0.51"],
        "120": ["120", "120^\\circ", "120°", "60", "12"],
    }  # fmt: skip
    for gold, answers in plan.items():
        row = {"problem": "<image>Find x.", "answer": gold, "id": 5}
        for answer in answers:
            for before in (
                "So ",
                "By the law of sines we get x, so ",
                "<think> two sides </think> ",
                "I add: 5 + 6.\n\n",
                "Thus $x$: ",
            ):
                yield row, f"{before}\\boxed{{{answer}}}", answer
            yield row, f"First \\boxed{{3}}, then \\boxed{{{answer}}}", answer


def mmstar() -> Iterator[Case]:
    """Letters in front, in brackets, after "option" and after "the answer is"."""
    options = {"A": "cat", "B": "dog", "C": "cow", "D": "hen"}
    question = "What is it?\nOptions: A: cat, B: dog, C: cow, D: hen"
    for right in "BD":
        row = {
            "index": 3,
            "question": question,
            "answer": right,
            "category": "math",
            "l2_category": "geometry",
        }
        for letter, text in options.items():
            for template in ("{0}", "({0})", "{0}.", "{0}. {1}", "({0}) {1}", "{0}: {1}", "The answer is {0}", "The answer is ({0}).",
                             "Option {0}", "option {0}", "It is option {0}.", "{0}\n", "{1}", "a {1}", "The answer is {1}.",
                             "I look at the ears.\n\nThe answer is {0}.", "I look at the ears.\n\nHence option {0} is correct.",
                             "The correct option is {0}.", "{0}, as it barks", "<answer> {0} </answer>"):  # fmt: skip
                yield row, template.format(letter, text), letter


def chartqa() -> Iterator[Case]:
    """A word, a number or a list."""
    plan = {
        "14": ["14", "14.7", "14.8", "13.3", "13.2", "14%", "0.14", "15", "14.0", "fourteen", "14 bars", "-14"],
        "0.57": ["0.57", "57%", "0.6", "0.55", "0.54", "57", ".57"],
        "0": ["0", "0.0", "0.01", "none"],
        "23%": ["23%", "0.23", "23", "24%", "25%", "23.5%"],
        "Yes": ["Yes", "yes", "No", "YES", "yes, it is"],
        "Blue": ["blue", "Blue", "dark blue", "red"],
        "[Mali, Chad]": ["[Mali, Chad]", "[mali, chad]", "Mali", "[Chad, Mali]", "Mali, Chad"],
        "[2014, 2016]": ["[2014, 2016]", "2014", "2016", "[2014, 2017]", "2100"],
        "1200": ["1200", "1,200", "1250", "1300", "1,300", "12"],
    }  # fmt: skip
    for gold, answers in plan.items():
        row = {"type": "human_test", "question": "How many?", "answer": gold}
        for answer in answers:
            yield row, answer, answer
            yield row, f" {answer}\n", answer
            yield row, f"<answer> {answer} </answer>", answer


CASES = {
    case.__name__: case
    for case in (mathvista, mathverse, mm_math, dynamath, we_math, math_vision, geometry3k, mmstar, chartqa, mme, hallusion_bench)
}  # fmt: skip
