"""MathVision (MATH-V): a choice is right by letter or by the option's text, a number after rounding to two decimals.

Its harness asks for `\\boxed{}`; here the question alone is sent, and a box counts like an answer block.
"""

import re
from typing import ClassVar

from vr1_ray.evaluation.base import Benchmark, OtherSplit, Question, Verdict, by_checker
from vr1_ray.evaluation.choosing import choice_verdict
from vr1_ray.evaluation.extraction import Answer, as_choices, number_of
from vr1_ray.evaluation.rows import Row

_MARK = re.compile(r"<image\d*>")  # all pictures of a row are merged in one file


class MathVision(Benchmark):
    """3,040 questions, or the 304 of `math_vision/testmini`; level 1 to 5, 16 subjects."""

    name = "math_vision"
    hub, split, size = "MathLLMs/MathVision", "test", 3040
    files = ("MathVision.tsv", "MathVision_MINI.tsv", "data/testmini-*.parquet", "testmini.parquet")
    other_splits: ClassVar = {"testmini": OtherSplit(size=304, files=("MathVision_MINI.tsv",))}
    schema_source = (
        "hub card's dataset_info of MathLLMs/MathVision, mathllm/MATH-V @ a1f5cc3a data/*.jsonl; TSV columns as read "
        "by VLMEvalKit's utils/mathv.py"
    )
    warning = "part of Vision-R1-rl and of Vision-R1-cold: a policy trained on these has seen it"

    def question(self, row: Row) -> Question:
        options = row.items("options", "choices")
        text = _MARK.sub("", row.text("question")).strip()
        if options and list(options) != list(as_choices(options)):
            lines = [f"({letter}) {option}" for letter, option in as_choices(options).items()]
            text += "\n" + "\n".join(lines)
        level = row.text("level", default="")
        labels = [row.text("subject", "category", default=""), f"level {level}" if level else ""]
        return self.make_question(
            row,
            question_id=row.text("id", "index"),
            text=text,
            answer=row.text("answer"),
            images=row.images("decoded_image", "image"),
            choices=options,
            labels=tuple(label for label in labels if label),
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        if question.choices:
            verdict = choice_verdict(answer, question.choices, question.answer)
            text = as_choices(question.choices).get(question.answer, "")
            is_open = verdict.rule in ("names no option", "text of several options")
            return (is_open and _rounded(answer, text)) or verdict
        return _rounded(answer, question.answer) or by_checker(answer, question.answer)


def _rounded(answer: Answer, reference: str) -> Verdict | None:
    """The verdict on two numbers, each rounded to two decimals; None if one is no number."""
    numbers = number_of(answer.text), number_of(reference)
    if numbers[0] is None or numbers[1] is None:
        return None
    found, wanted = round(float(numbers[0]), 2), round(float(numbers[1]), 2)
    return Verdict(is_correct=found == wanted, rule="number, two decimals", extracted=answer.text)
