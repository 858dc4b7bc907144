"""MathVista testmini: choices by letter or text, integers truncated and decimals rounded as its scorer does.

Official rules (lupantech/MathVista, evaluation/calculate_score.py), applied to the answer that our extraction finds
in place of a language model's: a choice is its letter, its text, else the option with the smallest edit distance;
an integer is truncated; a decimal is rounded to the question's `precision`; then the texts must be equal.
"""

import ast
from typing import ClassVar

from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict
from vr1_ray.evaluation.choosing import choose
from vr1_ray.evaluation.extraction import (
    Answer,
    as_choices,
    can_infer,
    number_of,
    only_number_in,
)
from vr1_ray.evaluation.paper import judge_tries, mathvista_extraction
from vr1_ray.evaluation.rows import Row

SKILLS = {
    "geometry reasoning": "GEO",
    "algebraic reasoning": "ALG",
    "arithmetic reasoning": "ARI",
    "statistical reasoning": "STA",
    "scientific reasoning": "SCI",
    "numeric commonsense": "NUM",
    "logical reasoning": "LOG",
}
TASKS = {
    "geometry problem solving": "GPS",
    "math word problem": "MWP",
    "figure question answering": "FQA",
    "textbook question answering": "TQA",
    "visual question answering": "VQA",
}
MAX_EDIT_CHARS = 60  # a longer answer is no misspelt option


class MathVista(Benchmark):
    """1,000 questions; skills overlap, tasks do not."""

    name = "mathvista"
    hub, split, size = "AI4Math/MathVista", "testmini", 1000
    files = ("MathVista_MINI.tsv", "annot_testmini.json")
    schema_source = (
        "hub card's dataset_info, lupantech/MathVista @ 53d52587 data/testmini.json; TSV columns as read by "
        "VLMEvalKit's utils/mathvista.py (that its `question` holds the hub's `query` is unconfirmed)"
    )
    main_labels: ClassVar[tuple[str, ...]] = ("GEO", "ALG", "GPS", "MWP")

    def question(self, row: Row) -> Question:
        metadata = row.struct("metadata")
        skills = metadata.get("skills") or row.items("skills")
        task = str(metadata.get("task") or row.text("task", default=""))
        labels = [TASKS.get(task, task), *(SKILLS.get(skill, str(skill)) for skill in skills)]
        answer = row.text("answer")
        precision = row.get("precision")
        decimals = len(answer.partition(".")[2])
        return self.make_question(
            row,
            question_id=row.text("pid", "index", "id"),
            text=row.text("query", "question"),
            answer=answer,
            images=row.images("decoded_image", "image"),
            kind=row.text("question_type"),
            choices=row.items("choices"),
            labels=tuple(label for label in labels if label),
            fields={
                "answer_type": row.text("answer_type"),
                "precision": decimals if precision is None else int(float(precision)),
            },
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        if question.kind == "multi_choice":
            return self._choice(question, answer)
        if not answer.text:
            return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
        if question.fields["answer_type"] == "list":
            return _list_verdict(answer, question.answer)
        number = number_of(answer.text)
        how = "a number"
        if number is None:
            number, how = only_number_in(answer.text), "the only number of a phrase"
        if number is None:
            return Verdict(
                is_correct=False, rule="no number", extracted=answer.text, is_decided=False
            )
        if question.fields["answer_type"] == "integer":
            found, rule = str(int(number)), f"integer, truncated: {how}"
        else:
            places = question.fields["precision"]
            found, rule = str(round(float(number), places)), f"rounded to {places} decimals: {how}"
        return Verdict(is_correct=found == question.answer, rule=rule, extracted=found)

    def _choice(self, question: Question, answer: Answer) -> Verdict:
        chosen = choose(answer, question.choices)
        letter, rule, is_decided = chosen.letter, chosen.rule, chosen.is_decided
        if not is_decided and answer.is_final and 0 < len(answer.text) <= MAX_EDIT_CHARS:
            distances = [edit_distance(answer.text, option) for option in question.choices]
            letter = chr(ord("A") + distances.index(min(distances)))
            rule, is_decided = "option text, nearest by edit distance", True
        text = as_choices(question.choices)[letter] if letter else ""
        return Verdict(
            is_correct=bool(letter) and text == question.answer,  # some options have equal texts
            rule=rule,
            extracted=letter or answer.text,
            is_decided=is_decided,
        )

    def paper_check(self, question: Question, prediction: str) -> Check:
        found, is_known = _prefetch(question, prediction)
        rule = "harness: read by rule"
        if not is_known:
            text = mathvista_extraction(_words(question), prediction)
            found = yield from judge_tries(text, accepts=lambda reply: True)
            rule = "harness: extracted by the judge"
        is_correct = _harness_equal(question, found)
        return Verdict(is_correct=is_correct, rule=rule, extracted=found)


def _words(question: Question) -> str:
    return question.prompt.question.replace("<image>", "")


def _list_verdict(answer: Answer, reference: str) -> Verdict:
    text = answer.text if answer.text.startswith("[") else f"[{answer.text}]"
    try:
        found = str(ast.literal_eval(text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return Verdict(is_correct=False, rule="no list", extracted=answer.text, is_decided=False)
    return Verdict(is_correct=found == reference, rule="list, as text", extracted=found)


def _prefetch(question: Question, prediction: str) -> tuple[str, bool]:
    """What the harness reads without its judge. A right answer of 0 is not taken for read: its flaw."""
    if question.kind == "multi_choice":
        found = can_infer(prediction, as_choices(question.choices))
        return found or "", found is not None
    is_read = _harness_equal(question, prediction)
    if is_read and question.fields["answer_type"] in ("integer", "float"):
        is_read = float(prediction) != 0
    return prediction, is_read


def _harness_equal(question: Question, found: str) -> bool:
    """Its comparison: no rounding, and a list is never right (it compares the word None)."""
    kind = question.fields["answer_type"]
    try:
        if question.kind == "multi_choice":
            letter = can_infer(found, as_choices(question.choices))
            letters = as_choices(question.choices)
            return letter is not None and letters.get(letter) == question.answer
        if kind == "integer":
            return int(found) == int(question.answer)
        if kind == "float":
            return float(found) == float(question.answer)
    except ValueError:
        return False
    return False


def edit_distance(one: str, other: str) -> int:
    """Levenshtein: insertions, deletions and replacements that turn one text into the other."""
    previous = list(range(len(other) + 1))
    for row, sign in enumerate(one, start=1):
        current = [row]
        for column, wanted in enumerate(other, start=1):
            change = previous[column - 1] + (sign != wanted)
            current.append(min(change, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]
