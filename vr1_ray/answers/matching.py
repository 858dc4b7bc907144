"""Is an answer right? Compares a prediction with a reference answer, the question unseen.

    plain_text (text.py) -> read (reading.py) -> agree (agreement.py) -> Verdict

Value counts, not form: `1/2`, `0.5` and `\\frac{1}{2}` are equal. An exact reference wants the exact value;
against a decimal reference the prediction is rounded to its digits. A missing unit is fine, two different
ones are not. Hedges ("3 or 5") and empty text are wrong. Answers are text, never evaluated as code, and the
time is bounded by bounds on length, depth, digits and items: no other process, no signal, safe on any thread.

Where both verdicts could be defended, one was decided (examples/answer_checkers/README.md says why):
`3:4` is `3/4` and `0.75`; `7:30` is `7:30 PM`, but AM is not PM; `2x+4=0` is `x+2=0`, but neither is `x=-2`, which is
solved; `1,2` is `2,1`, but `(1,2)` is not `(2,1)`; `50%` is `50` and `0.5`, but `0.5` is not `50`; `y=4x` is right for
`4x`, but `4x` is not for `y=4x`; `0,25` is `0.25`; `204_5` is neither `204` nor `54`; what contradicts itself
("2/6 = 1/2") is wrong. A wrong answer accepted is worse than a right one refused.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from numbers import Number

from vr1_ray.answers.agreement import agree
from vr1_ray.answers.reading import Words, read
from vr1_ray.answers.text import MAX_ANSWER_CHARS, plain_text
from vr1_ray.answers.words import commitments, label_value, predicate

_COMMITMENT = re.compile(
    r"(?:answer|result)(?:\s+is|\s*:|\s*=)\s*:?\s*(?P<answer>[^\n]{1,200})$", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"([-+＄€£]{0,2})(\d+),\d+(?:\s*[^\d\s,;()\[\]{}][^\d,;()\[\]{}]*)?")
_POINT = re.compile(r"\d?\.\d")
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


def answers_match(prediction: object, answer: object) -> bool:
    """Whether `prediction` says the same as the reference `answer`; numbers are taken as written. Never raises."""
    return compare(prediction, answer).is_match


def accuracy_of(response_text: str, answer: object) -> float:
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


def compare(prediction: object, answer: object) -> Verdict:
    """The verdict on `prediction`, and how it came about. Never raises.

    Both are text, or numbers, which are taken as they print (`3` is "3"); anything else is wrong.
    """
    said, wanted = _text_of(prediction), _text_of(answer)
    if said == wanted and said:
        return Verdict(is_match=True, how="same text")
    if max(len(said), len(wanted)) > MAX_ANSWER_CHARS:
        return Verdict(is_match=False, how="too long", is_bounded=True)
    predicted, reference = _plain(said), _plain(wanted)
    if not predicted or not reference:
        return Verdict(is_match=False, how="empty")
    if agree(predicted, reference) or _with_decimal_comma(predicted, reference):
        return Verdict(is_match=True, how=_kind(reference))
    for committed in commitments(predicted):
        if agree(committed, reference):
            return Verdict(is_match=True, how=f"{_kind(reference)} in a sentence")
    for asked in filter(None, (predicate(reference), label_value(reference))):
        if agree(predicted, asked):
            return Verdict(is_match=True, how=f"{_kind(asked)} of a sentence")
    return Verdict(
        is_match=False, how=_kind(reference), is_bounded=_is_over_bounds(predicted, reference)
    )


def _text_of(given: object) -> str:
    """Text or a number as text, without blanks around; "" for anything else."""
    return str(given).strip() if isinstance(given, str | Number) else ""


def _with_decimal_comma(predicted: str, reference: str) -> bool:
    """Whether one side is the other's decimal with a comma: 0,25 for 0.25. "1,5" alone is two numbers."""
    for comma, other in ((predicted, reference), (reference, predicted)):
        decimal = _DECIMAL_COMMA.fullmatch(comma)
        if decimal and "," not in other and (_POINT.search(other) or decimal[2] == "0"):
            with_point = comma.replace(",", ".")
            sides = (with_point, other) if comma is predicted else (other, with_point)
            return agree(*sides)
    return False


_plain = lru_cache(maxsize=8192)(plain_text)


def _kind(text: str) -> str:
    return type(read(text)).__name__.lower()


def _is_over_bounds(*texts: str) -> bool:
    return any(
        isinstance(reading := read(text), Words) and reading.is_over_bounds for text in texts
    )
