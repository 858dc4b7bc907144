"""MathVerse testmini: 788 problems in five versions, from all in the text to all in the picture.

The published scorer lets a language model extract and compare. Here a choice is scored by letter or option text, a
free-form answer by our checker ("0.5 m" and "50 cm" are one); only words it can't match go to the judge.
Versions of one problem are drawn together in the intervals. "Vision Only" is a sub-score of its own.
"""

import re
from decimal import Decimal
from typing import ClassVar

from vr1_ray.answers import answers_match
from vr1_ray.answers.reading import Quantity, Relation, factor_of, read
from vr1_ray.answers.relation import named_values
from vr1_ray.answers.text import plain_text
from vr1_ray.answers.words import commitments
from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict, by_checker
from vr1_ray.evaluation.choosing import letters_of, letters_verdict, options_in
from vr1_ray.evaluation.extraction import Answer
from vr1_ray.evaluation.paper import judge_tries, mathverse_comparison, mathverse_extraction
from vr1_ray.evaluation.rows import Row

LENGTHS = ("km", "m", "cm", "mm")
_FUNCTION = re.compile(r"\s*(?P<name>y|[A-Za-z]\(\s*[a-z]\s*\))\s*=\s*(?P<value>[^=]+)")
UNKNOWN_OPTIONS = ("",) * 5  # letters A to E without texts


class MathVerse(Benchmark):
    """3,940 questions. From the hub `query_cot` is sent, from a TSV its `question`, which protocol "paper" sends always."""

    name = "mathverse"
    hub, split, size, hub_config = "AI4Math/MathVerse", "testmini", 3940, "testmini"
    files = (
        "MathVerse_MINI.tsv",
        *(
            f"MathVerse_MINI_{version}.tsv"
            for version in str.split(
                "Vision_Only Vision_Dominant Vision_Intensive Text_Lite Text_Dominant"
            )
        ),
    )
    schema_source = (
        "ZrrSkywalker/MathVerse @ 937b0905 (data/testmini_text_only.json, output_templates), lmms-eval's "
        "tasks/mathverse; TSV columns as read by VLMEvalKit's utils/mathverse.py, its problem_index and "
        "question_type from a third party; Vision Only's multi-choice query by analogy, unconfirmed"
    )
    main_labels: ClassVar[tuple[str, ...]] = (
        "Text Dominant",
        "Text Lite",
        "Vision Intensive",
        "Vision Dominant",
        "Vision Only",
    )

    def question(self, row: Row) -> Question:
        metadata = row.struct("metadata")
        full_text = row.text("question_for_eval", "question", default="")
        answer = row.text("answer")
        is_letter = len(answer) == 1 and answer.isalpha() and bool(options_in(full_text))
        kind = row.text("question_type", default="multi-choice" if is_letter else "free-form")
        version = row.text("problem_version")
        labels = [version, metadata.get("subject", ""), metadata.get("subfield", "")]
        question_id = row.text("sample_index", "index")
        return self.make_question(
            row,
            question_id=question_id,
            text=row.text("query_cot", "question"),
            answer=answer,
            images=row.images("image"),
            kind=kind,
            choices=options_in(full_text) if kind == "multi-choice" else (),
            labels=tuple(dict.fromkeys(str(label) for label in labels if label)),
            cluster=row.text("problem_index", default=question_id),
            fields={
                "question_for_eval": full_text,
                "paper_text": row.text("query_wo", "question", default=""),
            },
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        choices = question.choices or UNKNOWN_OPTIONS
        letters = letters_of(question.answer, choices)
        if question.kind == "multi-choice" and letters:
            return letters_verdict(answer, choices, letters)
        for rule, is_same in (
            ("same length in another unit", _is_same_length),
            ("same function by another name", _is_same_function),
        ):
            if is_same(answer.text, question.answer):
                return Verdict(is_correct=True, rule=rule, extracted=answer.text)
        return by_checker(answer, question.answer)

    def paper_text(self, question: Question) -> str:
        """The TSV's `question`, which is the hub's `query_wo` (unconfirmed: the TSV has `query_cot` beside it)."""
        images = "<image>" * len(question.prompt.images)
        return images + str(question.fields["paper_text"]).replace("<image>", "").strip()

    def paper_check(self, question: Question, prediction: str) -> Check:
        extracted = yield from judge_tries(
            mathverse_extraction(prediction), accepts=lambda reply: True
        )
        if extracted.strip() == question.answer:
            return Verdict(
                is_correct=True, rule="harness: extraction equals answer", extracted=extracted
            )
        text = mathverse_comparison(
            question.fields["question_for_eval"], question.answer, extracted
        )
        reply = yield from judge_tries(text, accepts=lambda reply: reply.strip() in ("0", "1"))
        return Verdict(
            is_correct=reply.strip() == "1",
            rule="harness: compared by the judge",
            extracted=extracted,
        )


def _is_same_length(one: str, other: str) -> bool:
    """The paper's own example: "0.5m" and "50cm" are consistent; with a name before it too ("AB = 50 cm")."""
    lengths = [_length(text) for text in (one, other)]
    return lengths[0] is not None and lengths[0] == lengths[1]


def _length(text: str) -> Decimal | None:
    plain = plain_text(text)
    for said in (plain, *commitments(plain)):
        found = read(said)
        if isinstance(found, Relation):
            values = named_values(found)
            found = read(values[-1]) if values else found
        if isinstance(found, Quantity) and found.unit in LENGTHS:
            value = found.value.constant
            return None if value is None else value * factor_of(found.unit)
    return None


def _is_same_function(one: str, other: str) -> bool:
    """y = ... is f(x) = ...; two functions of different names are two."""
    found = [_FUNCTION.fullmatch(plain_text(text)) for text in (one, other)]
    if found[0] is None or found[1] is None or "y" not in (found[0]["name"], found[1]["name"]):
        return False
    return answers_match(found[0]["value"], found[1]["value"])
