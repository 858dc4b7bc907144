"""MathVista testmini: choices by letter or text, integers truncated and decimals rounded as its scorer does.

Official rules (lupantech/MathVista, evaluation/calculate_score.py), applied to the answer that our extraction finds
in place of a language model's: a choice is its letter, its text, else the option with the smallest edit distance;
an integer is truncated; a decimal is rounded to the question's `precision`; then the texts must be equal. The edit
distance decides only for a misspelt option (at most a third of its signs): of what names no option, nothing is guessed.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from vr1_ray.answers.text import plain_text
from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict
from vr1_ray.evaluation.choosing import choose
from vr1_ray.evaluation.extraction import (
    Answer,
    as_choices,
    can_infer,
    number_of,
    only_number_in,
)
from vr1_ray.evaluation.paper import HINTS, judge_tries, mathvista_extraction
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
_SEPARATOR = re.compile(r"\s*(?:[,;]\s*(?:and\s+)?|\s+and\s+)\s*")
MAX_EDIT_CHARS = 60  # a longer answer is no misspelt option
MAX_EDIT_SHARE = 3  # one letter in so many of the option may be wrong
GROUPS = ("source", "grade")  # of `metadata`; sub-scores beside those of the paper


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
        groups = {name: metadata.get(name) for name in GROUPS} | {"type": row.text("answer_type")}
        precision = row.get("precision")
        decimals = len(answer.partition(".")[2])
        return self.make_question(
            row,
            question_id=row.text("pid", "index", "id"),
            text=_query(row),
            answer=answer,
            images=row.images("decoded_image", "image"),
            kind=row.text("question_type"),
            choices=row.items("choices"),
            labels=tuple(label for label in labels if label),
            groups=tuple(f"{name}: {value}" for name, value in groups.items() if value),
            fields={
                "answer_type": row.text("answer_type"),
                "answer_option": row.text("answer_option", default=""),
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
        if not is_decided and (near := _misspelt(answer.text, question.choices)):
            letter, rule, is_decided = near, "option text, nearest by edit distance", True
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
            text = mathvista_extraction(question.words, prediction)
            found = yield from judge_tries(text, accepts=lambda reply: True)
            rule = "harness: extracted by the judge"
        is_correct = _harness_equal(question, found)
        return Verdict(is_correct=is_correct, rule=rule, extracted=found)


def _query(row: Row) -> str:
    """The ready prompt; of the GitHub file, which has none, built as the hub's was: hint, question, unit, options."""
    text = row.text("query", "question")
    if row.has("query") or text.startswith("Hint:"):
        return text
    kind = row.text("answer_type")
    if row.text("question_type") == "multi_choice":
        hint = HINTS["choice"]
    elif kind == "float":
        hint = HINTS["float 2" if int(float(row.get("precision") or 1)) == 2 else "float 1"]
    else:
        hint = HINTS[kind if kind in HINTS else "integer"]
    unit = row.text("unit", default="")
    lines = [f"({letter}) {option}" for letter, option in as_choices(row.items("choices")).items()]
    options = "\n".join(["\nChoices:", *lines]) if lines else ""
    return f"{hint}\nQuestion: {text}{f' (Unit: {unit})' if unit else ''}{options}"


def _misspelt(text: str, choices: Sequence[str]) -> str:
    """The letter of the one option that a short text is, but for a few signs; "" if it is near to none or several."""
    text = plain_text(text).lower()
    if not 0 < len(text) <= MAX_EDIT_CHARS:
        return ""
    options = [plain_text(option).lower() for option in choices]
    distances = [edit_distance(text, option) for option in options]
    least = min(distances, default=MAX_EDIT_CHARS)
    nearest = {option for option, found in zip(options, distances, strict=True) if found == least}
    if len(nearest) != 1 or MAX_EDIT_SHARE * least > len(nearest.pop()):
        return ""
    return chr(ord("A") + distances.index(least))


def _list_verdict(answer: Answer, reference: str) -> Verdict:
    found, wanted = _items(answer.text), _items(reference)
    if found is None or wanted is None:
        return Verdict(is_correct=False, rule="no list", extracted=answer.text, is_decided=False)
    return Verdict(is_correct=found == wanted, rule="list, item by item", extracted=answer.text)


def _items(text: str) -> list[Decimal | str] | None:
    """The items of a list, in any brackets or none; numbers by their value."""
    inside = plain_text(text).strip("[](){} ")
    parts = [part.strip("'\" ") for part in _SEPARATOR.split(inside)]
    if len(parts) < 2 and not plain_text(text).startswith("["):
        return None
    numbers = [number_of(part) for part in parts]
    return [
        part.lower() if number is None else number
        for part, number in zip(parts, numbers, strict=True)
    ]


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
            return letter is not None and letter == _right_letter(question)
        if kind == "integer":
            return int(found) == int(question.answer)
        if kind == "float":
            return float(found) == float(question.answer)
    except ValueError:
        return False
    return False


def _right_letter(question: Question) -> str:
    """The TSV's `answer_option`; of another form the first option with the answer's text."""
    if option := str(question.fields["answer_option"]):
        return option
    places = [place for place, text in enumerate(question.choices) if text == question.answer]
    return chr(ord("A") + places[0]) if places else ""


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
