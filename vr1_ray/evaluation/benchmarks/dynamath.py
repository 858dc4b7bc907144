"""DynaMath: 501 seed questions in ten variants each. Average over all, and the worst case over a question's variants.

Its rules: a decimal is right within 0.001; a choice by its letter; a word if the reference is in the answer.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from vr1_ray.evaluation.base import Benchmark, Check, Judged, Question, Verdict, by_checker
from vr1_ray.evaluation.choosing import choice_verdict, options_in
from vr1_ray.evaluation.extraction import Answer, number_of, only_number_in
from vr1_ray.evaluation.paper import judge_tries
from vr1_ray.evaluation.rows import Row
from vr1_ray.evaluation.statistics import Score

TOLERANCE = 0.001
NUM_VARIANTS = 10
UNKNOWN_OPTIONS = ("",) * 5
_DENIED = re.compile(r"\b(?:not|neither|nor|or|never|cannot)\b|n't\b|\bnon\b", re.IGNORECASE)
_VARIANT = re.compile(r"(?:sample|variant)_?(\d+)")
_INSTRUCTION = {
    "multiple choice": "Provide the corresponing choice option in the 'short answer' key, such as 'A', 'B', 'C', or 'D'.",
    "float": "Format the answer as a three-digit floating-point number and provide it in the 'short answer' key.",
}
_ANY = "Float numbers in the answer should be formatted as three-digit floating-point numbers."
_SYSTEM = (
    "You are a helpful assistant that helps me to format free-form answers into a short answer according to the "
    "instruction."
)


class DynaMath(Benchmark):
    """5,010 questions; `worst case` counts a seed only if all of its variants are right."""

    name = "dynamath"
    hub, split, size = "DynaMath/DynaMath_Sample", "sample_variant1", 5010
    splits = tuple(f"sample_variant{number}" for number in range(1, NUM_VARIANTS + 1))
    file_splits = tuple(f"sample{number}" for number in range(1, NUM_VARIANTS + 1))
    files = ("DynaMath.tsv", "dataset.json")
    schema_source = (
        "hub card's dataset_info of DynaMath/DynaMath_Sample, DynaMath/DynaMath @ 598c3c3d dataset.json; TSV columns "
        "as read by VLMEvalKit's dataset/dynamath.py (5,010 rows unconfirmed)"
    )
    headline: ClassVar[str] = "average"
    main_labels: ClassVar[tuple[str, ...]] = ("worst case",)

    def question(self, row: Row) -> Question:
        seed = row.text("qid", "id", "index")
        named = _VARIANT.search(row.table)
        variant = row.text("varid", default=named[1] if named else "1")
        text = row.text("question")
        kind = row.text("answer_type")
        labels = (
            " ".join(row.text("subject").split()),
            row.text("knowledge_level", "level"),
        )
        return self.make_question(
            row,
            question_id=f"{seed}/{variant}",
            text=text,
            answer=row.text("ground_truth", "answer"),
            images=row.images("decoded_image", "image"),
            kind=kind,
            choices=options_in(text) if kind == "multiple choice" else (),
            labels=labels,
            cluster=seed,
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        if question.kind == "multiple choice":
            return choice_verdict(
                answer, question.choices or UNKNOWN_OPTIONS, question.answer.upper()
            )
        if not answer.text:
            return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
        if question.kind in ("float", "int") and (wanted := number_of(question.answer)) is not None:
            found = number_of(answer.text)
            found = only_number_in(answer.text) if found is None else found
            if found is None:
                return Verdict(
                    is_correct=False, rule="no number", extracted=answer.text, is_decided=False
                )
            is_close = abs(float(found) - float(wanted)) <= TOLERANCE
            return Verdict(is_correct=is_close, rule="number within 0.001", extracted=str(found))
        verdict = by_checker(answer, question.answer)
        wanted_words = re.escape(question.answer.lower())
        holds_it = re.search(rf"(?<!\w){wanted_words}(?!\w)", answer.text.lower())
        if not verdict.is_correct and holds_it and not _DENIED.search(answer.text):
            return Verdict(
                is_correct=True, rule="the answer holds the reference", extracted=answer.text
            )
        return verdict

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        headline, *labels = super().scores(judged)
        by_seed: dict[str, list[float]] = defaultdict(list)
        for one in judged:
            by_seed[one.question.cluster].append(one.share)
        worst = Score(
            name="worst case",
            values=tuple(min(shares) for shares in by_seed.values()),
            clusters=tuple(by_seed),
            complete=self.size // NUM_VARIANTS,
        )
        return [headline, worst, *labels]

    def paper_text(self, question: Question) -> str:
        instruction = _INSTRUCTION.get(question.kind, _ANY)
        example = json.dumps(
            {
                "solution": "[Detailed step-by-step explanation]",
                "short answer": "[Concise Answer]",
            },
            indent=4,
        )
        images, _, text = question.prompt.question.rpartition("<image>")
        mark = "<image>" * (images.count("<image>") + 1) if _ else ""
        return (
            f"{mark}## Question\n {text}\n## Answer Instruction Please answer in JSON with two keys, 'solution' for the "
            f"detailed steps and 'short answer' for a concise response. {instruction}\n\nExample of the expected JSON "
            f"response format:\n\n{example}"
        )

    def paper_check(self, question: Question, prediction: str) -> Check:
        """The released copy's JSON route always fails (a misspelt column), so none is tried here."""
        begin, end = prediction.find("{"), prediction.rfind("}")
        text = prediction[begin : end + 1] if 0 <= begin < end else prediction
        text = text.replace("\\", "")
        found = _parsed(text, question.kind)
        rule = "harness: read by rule"
        if found is None:
            wanted = {
                "multiple choice": "Output the corresponding choice option, such as 'A', 'B', 'C', 'D', in a single line.",
                "float": "Output a three-digit floating-point number in a single line.",
            }.get(question.kind, "Output a short answer in a single line.")
            reply = yield from judge_tries(
                f"Free-form answer: {text}\nInstruction: {wanted}",
                accepts=lambda reply: True,
                system=_SYSTEM,
            )
            found, rule = _parsed(reply, question.kind), "harness: extracted by the judge"
        return Verdict(
            is_correct=_harness_right(found, question, text), rule=rule, extracted=found or ""
        )


def _parsed(text: str, kind: str) -> str | None:
    if kind == "float":
        first = text if text.isdigit() else text.split(" ")[0]
        number, pi, _ = first.partition("π")
        try:
            return str(float(number) * (3.141592653589793 if pi else 1.0))
        except ValueError:
            return None
    if kind == "multiple choice":
        if len(text) == 1:
            return text.upper()
        letters = [letter for letter in "ABCDE" if letter in text.upper()]
        return letters[0] if len(letters) == 1 else None
    return text


def _harness_right(found: str | None, question: Question, text: str) -> bool:
    if question.kind == "multiple choice":
        return question.answer in text[:3].upper() if found is None else found == question.answer
    if found is None:
        return False
    if question.kind == "float":
        return abs(float(found) - float(question.answer)) <= TOLERANCE
    return found.lower() in question.answer.lower()
