"""Is an answer right? Compares a prediction with a reference answer, the question unseen.

    plain_text (text.py) -> read (reading.py) -> agree (agreement.py) -> Verdict

Value counts, not form: `1/2`, `0.5` and `\\frac{1}{2}` are equal. An exact reference wants the exact value;
against a decimal reference the prediction is rounded to its digits. A missing unit is fine, two different
ones are not. Hedges ("3 or 5") and empty text are wrong. Answers are text, never evaluated as code, and the
time is bounded by bounds on length, depth, digits and items: no other process, no signal, safe on any thread.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from vr1_ray.answers.agreement import agree
from vr1_ray.answers.reading import Words, read
from vr1_ray.answers.text import MAX_ANSWER_CHARS, plain_text
from vr1_ray.answers.words import commitments, predicate

_COMMITMENT = re.compile(
    r"(?:answer|result)(?:\s+is|\s*:|\s*=)\s*:?\s*(?P<answer>[^\n]{1,200})$", re.IGNORECASE
)
_ANSWER_BLOCK = re.compile(r"<answer>((?:(?!<answer>).)*)</answer>", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether an answer is right and how that was decided; `is_bounded` says a bound cut the check short.

    Example:
        compare("Final Answer: 1/2", "0.5")  # Verdict(is_match=True, how="quantity", is_bounded=False)
    """

    is_match: bool
    how: str
    is_bounded: bool = False


def answers_match(prediction: str, answer: str) -> bool:
    """Whether `prediction` says the same as the reference `answer`. Never raises."""
    return compare(prediction, answer).is_match


def accuracy_of(response_text: str, answer: str) -> float:
    """1.0 if the text in the last <answer> block is right; without one, if the whole response is.

    A whole response is right as it stands ("5"), or by what its last line commits to ("The answer is 5.").
    """
    start = response_text.rfind("<answer>")
    block = _ANSWER_BLOCK.match(response_text, start) if start >= 0 else None
    if block:
        return float(answers_match(block[1], answer))
    if answers_match(response_text, answer):
        return 1.0
    last_line = response_text.strip().rsplit("\n", 1)[-1][-300:]
    committed = _COMMITMENT.search(last_line)
    return float(committed is not None and answers_match(committed["answer"], answer))


def compare(prediction: str, answer: str) -> Verdict:
    """The verdict on `prediction`, and how it came about. Never raises."""
    prediction, answer = prediction.strip(), answer.strip()
    if prediction == answer and prediction:
        return Verdict(is_match=True, how="same text")
    if max(len(prediction), len(answer)) > MAX_ANSWER_CHARS:
        return Verdict(is_match=False, how="too long", is_bounded=True)
    predicted, reference = _plain(prediction), _plain(answer)
    if not predicted or not reference:
        return Verdict(is_match=False, how="empty")
    if agree(predicted, reference):
        return Verdict(is_match=True, how=_kind(reference))
    for committed in commitments(predicted):
        if agree(committed, reference):
            return Verdict(is_match=True, how=f"{_kind(reference)} in a sentence")
    wanted = predicate(reference)
    if wanted and agree(predicted, wanted):
        return Verdict(is_match=True, how=f"{_kind(wanted)} of a sentence")
    return Verdict(
        is_match=False, how=_kind(reference), is_bounded=_is_over_bounds(predicted, reference)
    )


_plain = lru_cache(maxsize=8192)(plain_text)


def _kind(text: str) -> str:
    return type(read(text)).__name__.lower()


def _is_over_bounds(*texts: str) -> bool:
    return any(
        isinstance(reading := read(text), Words) and reading.is_over_bounds for text in texts
    )
