"""Is an answer right? Compares a prediction with a reference answer, the question unseen.

    plain_text (answer_text.py) -> kind: letter | list | equation | quantity | words -> Verdict

Value counts, not form: `1/2`, `0.5` and `\\frac{1}{2}` are equal. An exact reference wants the exact
value; against a decimal reference the prediction is rounded to its digits. A missing unit is fine, two
different ones are not. Hedges ("3 or 5") and empty text are wrong. Answers are text, never evaluated as
code, and the time is bounded by bounds on length, depth and digits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from vr1_ray.rewards.answer_text import MAX_ANSWER_CHARS, plain_text, split_unit
from vr1_ray.rewards.answer_value import NotAnExpressionError, evaluate, is_close

_LETTER = re.compile(r"\(?([A-Z])\)?")
_COMMITTED_LETTER = re.compile(
    r"(?:(?:option|choice)\s*)?(?:\(([A-Za-z])\)|([A-Za-z])(?=[.:),;]|$)|([B-HJ-Z])(?=\s+\d))[.:),;]?\s*(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_LETTER = re.compile(
    r"^\(?[A-H]\)?(?:$|[,.:;)]|\s+(?:or|and)\b)|\b(?:or|and)\s+\(?[A-H]\)?\s*$"
)
_NAMED = re.compile(
    r"(?:m?\s*(?:angle|∠)\s*[A-Z]{1,3}|[A-Za-z]|[A-Z]{2,3}|area|perimeter)\s*=\s*([^=]+)"
)
_DECIMAL = re.compile(r"[-+]?\s*\d*\.(\d+)")
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
_ARTICLE = re.compile(r"\b(?:a|an|the)\s+")
_REASON = re.compile(r"\s*(?:[,;:.](?=\s)|\s\(|\s-\s|\s(?:because|since|as)\b)")
_HEDGE = re.compile(r"\b(?:or|maybe|perhaps|not|no|wait|but)\b", re.IGNORECASE)
_COMMITMENT = re.compile(
    r"(?:answer|result)(?:\s+is|\s*:|\s*=)\s*:?\s*(?P<answer>[^\n]{1,200})$", re.IGNORECASE
)
_ANSWER_BLOCK = re.compile(r"<answer>((?:(?!<answer>).)*)</answer>", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether an answer is right and how that was decided; `is_bounded` says a bound cut the check short.

    Example:
        compare("Final Answer: 1/2", "0.5")  # Verdict(is_match=True, how="value", is_bounded=False)
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
    if max(len(prediction.strip()), len(answer)) > MAX_ANSWER_CHARS:
        return Verdict(is_match=False, how="too long", is_bounded=True)
    return _compare_plain(plain_text(prediction), plain_text(answer))


def _compare_plain(predicted: str, reference: str, depth: int = 0) -> Verdict:
    if not predicted or not reference or depth > 3:
        return Verdict(is_match=False, how="empty")
    if letter := _LETTER.fullmatch(reference):
        return Verdict(is_match=_committed_letter(predicted) == letter[1], how="letter")
    if (items := _items(predicted)) or _items(reference):
        return Verdict(is_match=_same_items(items, _items(reference), depth), how="list")
    if "=" in predicted or "=" in reference:
        return _compare_equations(predicted, reference)
    return _compare_quantities(predicted, reference)


def _committed_letter(text: str) -> str | None:
    match = _COMMITTED_LETTER.fullmatch(text)
    if match is None or _OTHER_LETTER.search(match["rest"].strip()):
        return None
    return (match[1] or match[2] or match[3]).upper()


def _items(text: str) -> tuple[str, list[str]] | None:
    """(brackets, items) of a tuple, interval, set, ratio or list; None for anything else."""
    if text[0] in "([{" and text[-1] in ")]}" and "," in text:
        return text[0] + text[-1], [item.strip() for item in text[1:-1].split(",")]
    if re.fullmatch(r"[\d.\s]+(?::[\d.\s]+)+", text):
        return ":", [item.strip() for item in text.split(":")]
    parts = re.split(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+", text)
    if len(parts) > 1 and all(re.search(r"\d", part) and len(part) < 30 for part in parts):
        return "", parts
    return None


def _same_items(
    left: tuple[str, list[str]] | None, right: tuple[str, list[str]] | None, depth: int
) -> bool:
    if left is None or right is None or len(left[1]) != len(right[1]) or len(left[1]) > 20:
        return False
    (left_kind, left_items), (right_kind, right_items) = left, right
    unordered = {"", "{}"}
    if left_kind != right_kind and not {left_kind, right_kind} <= unordered:
        return False
    if right_kind not in unordered:
        pairs = zip(left_items, right_items, strict=True)
        return all(_compare_plain(one, other, depth + 1).is_match for one, other in pairs)
    remaining = list(right_items)
    for item in left_items:
        found = next((o for o in remaining if _compare_plain(item, o, depth + 1).is_match), None)
        if found is None:
            return False
        remaining.remove(found)
    return True


def _compare_equations(predicted: str, reference: str) -> Verdict:
    if predicted.count("=") == reference.count("=") == 1:
        return Verdict(is_match=_same_equation(predicted, reference), how="equation")
    left, right = _right_side(predicted), _right_side(reference)
    if left is None or right is None:
        return _compare_words(predicted, reference)  # a relation is not its right side
    return _compare_quantities(left, right)


def _same_equation(left: str, right: str) -> bool:
    """Whether both say the same: their differences of sides are proportional."""
    if re.sub(r"\s", "", left) == re.sub(r"\s", "", right):
        return True
    try:
        ones, others = (evaluate("({})-({})".format(*text.split("="))) for text in (left, right))
    except NotAnExpressionError:
        return False
    if any(value == 0 for value in (*ones, *others)):
        return False
    ratios = [one / other for one, other in zip(ones, others, strict=True)]
    return all(abs(ratio - ratios[0]) < abs(ratios[0]) * Decimal("1e-20") for ratio in ratios)


def _right_side(text: str) -> str | None:
    """5 of "x = 5", and the text itself without "="; None for a relation between variables."""
    if "=" not in text:
        return text
    named = _NAMED.fullmatch(text)
    return None if named is None or _has_letters(named[1]) else named[1].strip()


def _has_letters(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]", re.sub(r"sqrt|frac|pi", "", split_unit(text)[0])))


def _compare_quantities(predicted: str, reference: str) -> Verdict:
    (left, left_unit), (right, right_unit) = split_unit(predicted), split_unit(reference)
    left, right = _NUMBER_WORDS.get(left.lower(), left), _NUMBER_WORDS.get(right.lower(), right)
    try:
        lefts, rights = evaluate(left), evaluate(right)
    except NotAnExpressionError:
        return _compare_words(predicted, reference)
    units = {left_unit, right_unit} - {"", "unit"}
    if len(units) > 1:
        return Verdict(is_match=False, how="unit")
    is_match = _same_value(lefts, rights, right)
    if units == {"%"} and left_unit != right_unit and not is_match:  # 50 % is 0.5
        scales = (100, 1) if left_unit == "%" else (1, 100)
        is_match = _same_value(_scaled(lefts, scales[0]), _scaled(rights, scales[1]), "")
    return Verdict(is_match=is_match, how="value")


def _same_value(lefts: Sequence[Decimal], rights: Sequence[Decimal], reference: str) -> bool:
    if all(is_close(one, other) for one, other in zip(lefts, rights, strict=True)):
        return True
    digits = _DECIMAL.fullmatch(reference)
    if digits is None or len(set(lefts)) > 1 or abs(lefts[0]) > 10**20:
        return False
    return (
        lefts[0].quantize(Decimal(1).scaleb(-len(digits[1])), rounding=ROUND_HALF_UP) == rights[0]
    )


def _scaled(values: Sequence[Decimal], divisor: int) -> list[Decimal]:
    return [value.scaleb(-2) if divisor == 100 else value for value in values]


def _compare_words(predicted: str, reference: str) -> Verdict:
    said, wanted = (_ARTICLE.sub("", text.lower()).strip() for text in (predicted, reference))
    if said == wanted:
        return Verdict(is_match=True, how="words")
    rest = said[len(wanted) :]
    has_reason = said.startswith(wanted) and bool(_REASON.match(rest))
    is_hedged = _HEDGE.search(rest) or (wanted[-1:].isdigit() and re.search(r"\d", rest))
    return Verdict(is_match=has_reason and not is_hedged, how="words")
