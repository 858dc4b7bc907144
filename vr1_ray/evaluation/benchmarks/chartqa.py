r"""ChartQA: relaxed accuracy. A number is right within 5 % of the reference, all else by its text.

As published: "23%" is 0.23; a reference of 0 wants the same text; of a reference that is a Python list each item is
right, and, as in lmms-eval, the list itself. LaTeX and bold marks around an answer are left out (`\text{Yes}`). The harness of the paper takes the 5 % of the
prediction, because it passes the two in swapped order.
"""

import re
from typing import ClassVar

from vr1_ray.answers.latex import plain_signs
from vr1_ray.answers.text import plain_text
from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict
from vr1_ray.evaluation.extraction import Answer, number_of
from vr1_ray.evaluation.rows import Row, literal

_BLANKS = re.compile(r"\s+")
TOLERANCE = 0.05
SUFFIX = "\nAnswer the question using a single word or phrase."


class ChartQA(Benchmark):
    """2,500 questions, half written by people, half by a model."""

    name = "chartqa"
    hub, split, size = "lmms-lab/ChartQA", "test", 2500
    hubs_moved = ("lmms-lab-encoder/ChartQA",)
    files = ("ChartQA_TEST.tsv",)
    schema_source = "hub card of lmms-lab-encoder/ChartQA, lmms-eval's tasks/chartqa; values of the TSV's `split` unconfirmed"
    main_labels: ClassVar[tuple[str, ...]] = ()

    def question(self, row: Row) -> Question:
        label = row.text("type", "split", default="")
        return self.make_question(
            row,
            question_id=row.text("index", default=str(row.number)),
            text=row.text("question") + SUFFIX,
            answer=row.text("answer"),
            images=row.images("image"),
            labels=(label,) if label else (),
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        if not answer.text:
            return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
        plain = " ".join(plain_signs(answer.text).split())
        said = dict.fromkeys((answer.text, plain, plain_text(answer.text)))
        for reference in dict.fromkeys((question.answer, *references(question.answer))):
            for text in said:
                if rule := relaxed(text, reference) or _same_list(text, reference):
                    return Verdict(is_correct=True, rule=rule, extracted=answer.text)
            # "14 bars" is the number 14; a sign of percent stays, it means a hundredth here.
            number = None if "%" in answer.text else number_of(answer.text)
            if number is not None and (rule := relaxed(str(number), reference)):
                return Verdict(is_correct=True, rule=f"{rule}, unit dropped", extracted=answer.text)
        is_list = question.answer.startswith("[")
        is_decided = to_float(answer.text) is not None or (answer.is_final and not is_list)
        return Verdict(
            is_correct=False,
            rule="relaxed accuracy: different",
            extracted=answer.text,
            is_decided=is_decided,
        )

    def is_asked_with_judge(self) -> bool:
        return False

    def paper_check(self, question: Question, prediction: str) -> Check:
        found = [
            relaxed(reference, prediction.strip()) for reference in references(question.answer)
        ]
        is_correct = any(found)
        return Verdict(
            is_correct=is_correct,
            rule="harness: relaxed accuracy, 5 % of the prediction",
            extracted=prediction.strip(),
        )
        yield  # a check is a generator; this one asks nothing


def references(answer: str) -> tuple[str, ...]:
    """The reference, or each of the list that it is written as; "[Mali, Chad]" is no list of Python's but a text."""
    try:
        value = literal(answer, "answer") if answer.endswith("]") else answer
    except DataError:
        return (answer,)
    return tuple(str(item) for item in value) if isinstance(value, list) else (answer,)


def _same_list(prediction: str, reference: str) -> str:
    """The rule where both are the same list but for blanks and case; "" elsewhere."""
    if not reference.startswith("["):
        return ""
    same = _BLANKS.sub("", prediction.lower()) == _BLANKS.sub("", reference.lower())
    return "same list" if same else ""


def to_float(text: str) -> float | None:
    """As the published scorer reads numbers: "23%" is 0.23, "1,200" is none."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def relaxed(prediction: str, reference: str) -> str:
    """The rule by which a prediction is right; "" if it is wrong."""
    found, wanted = to_float(prediction), to_float(reference)
    if found is not None and wanted:
        return "within 5 %" if abs(found - wanted) / abs(wanted) <= TOLERANCE else ""
    return "same text" if prediction.lower() == reference.lower() else ""
