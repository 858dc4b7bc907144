"""Equations and inequalities of the answer checker: what they name, and when two say the same.

"x = 5", "AB = 5 cm" and "angle A = 40" name a value; "y = 2x + 1" relates variables and names nothing. Two
relations are the same if the differences of their sides are proportional.
"""

import re
from decimal import Decimal

from vr1_ray.answers.reading import Items, Quantity, Relation, read_quantity
from vr1_ray.answers.value import NotAnExpressionError, Value, evaluate, is_same, rounds_to

_NAME = re.compile(
    r"(?:m|the|measure of|length of)?\s*(?:angle|triangle|∠)?\s*\(?(?:[A-Z]{1,4}|\d|[α-ω])'?\)?"
    r"|[A-Za-zα-ω](?:_(?:\{[^{}]{1,12}\}|\w))?'?|\|[A-Z]{2}\||[A-Z]{2}\s*:\s*[A-Z]{2}|[A-Z]{2}\s*/\s*[A-Z]{2}|frac\{[A-Z]{2}\}\{[A-Z]{2}\}"
    r"|\([a-z],\s*[a-z](?:,\s*[a-z])?\)|(?:sin|cos|tan|cot)\s*(?:angle\s*)?\(?(?:[A-Z]{1,3}|[a-zα-ω])\)?|\d?\s?[A-Z]_\{?[A-Za-z ]+\}?"
)  # fmt: skip
_FUNCTION_NAME = re.compile(
    r"[A-Za-z]'{0,2}\s*\([A-Za-z0-9, ]{1,12}\)|dy\s*/\s*dx|frac\{dy\}\{dx\}|y'"
)
_VERBAL = re.compile(r"[A-Za-z]{3,}(?:[ _][A-Za-z]+){0,6}|[A-Za-z]{3,}\s*\([^()=]*\)")
_NOT_NAME = re.compile(r"[_\s'{}()|∠]|\bm\b|\bangle\b|\bthe\b|\btriangle\b|measure of|length of")
_ANGLES = re.compile(r"\b(?:angle|degrees)\b")
_TURNED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


def named_values(relation: Relation) -> tuple[str, ...]:
    """The texts a relation gives for one value: ("2√3", "3.46") of "x = 2√3 ≈ 3.46"; () if it names none."""
    if not set(relation.signs) <= {"=", "≈"}:
        return ()
    sides = relation.sides
    if name_of(relation):
        sides = sides[1:] if _is_name(sides[0]) else sides[:-1]
        if _FUNCTION_NAME.fullmatch(relation.sides[0]):
            return sides[-1:]
        if len(sides) > 1 and _is_constant(sides[-1]):  # S = πr² = 9π
            sides = tuple(side for side in sides if _is_constant(side))
    values = [_constant(side) for side in sides]
    if len(values) == 1:
        return sides if (values[0] is None and not _has_variables(sides[0])) or values[0] else ()
    return sides if _are_consistent(values) else ()


def name_of(relation: Relation) -> str:
    """The name that a relation gives a value to, in one spelling; "" if there is none, "*" for one in words."""
    first, last = relation.sides[0], relation.sides[-1]
    name = first if _is_name(first) else last if _is_name(last) and len(relation.sides) == 2 else ""
    if not name:
        return ""
    if _VERBAL.fullmatch(name) and not _NAME.fullmatch(name):
        return "*"
    bare = _NOT_NAME.sub("", name) or name
    return min(bare, bare[::-1]) if bare.isupper() else bare


def is_same_relation(left: Relation, right: Relation) -> bool:
    """Whether two relations, each with one sign or a chain, say the same."""
    if len(left.signs) != len(right.signs):
        return False
    if _is_same_chain(left, right):
        return True
    turned = Relation(
        sides=right.sides[::-1], signs=tuple(_TURNED.get(sign, sign) for sign in right.signs[::-1])
    )
    return len(left.signs) > 1 and _is_same_chain(left, turned)


def as_interval(relation: Relation) -> Items | None:
    """ "1 < x ≤ 3" as (1, 3]; None for what is no inequality of one variable with constants."""
    sides, signs = relation.sides, relation.signs
    if set(signs) <= {">", "≥"}:
        sides, signs = sides[::-1], tuple(_TURNED[sign] for sign in signs[::-1])
    if not set(signs) <= {"<", "≤"} or len(signs) > 2:
        return None
    letters = [index for index, side in enumerate(sides) if re.fullmatch(r"[a-zα-ω]", side)]
    if len(letters) != 1 or (len(sides) == 3 and letters[0] != 1):
        return None
    if len(sides) == 3:
        low, high, opening, closing = sides[0], sides[2], signs[0], signs[1]
    elif letters[0] == 0:
        low, high, opening, closing = "-inf", sides[1], "<", signs[0]
    else:
        low, high, opening, closing = sides[0], "inf", signs[0], "<"
    brackets = ("(" if opening == "<" else "[") + (")" if closing == "<" else "]")
    return Items(brackets=brackets, items=(low, high))


def interval_variable(relation: Relation) -> str:
    """The variable of what `as_interval` reads as an interval."""
    return next(side for side in relation.sides if re.fullmatch(r"[a-zα-ω]", side))


def _is_name(side: str) -> bool:
    return bool(
        _NAME.fullmatch(side) or _FUNCTION_NAME.fullmatch(side) or _VERBAL.fullmatch(side)
    ) and not (side.isdigit() or side in ("pi", "inf", "e"))


def _constant(side: str) -> Value | None:
    reading = read_quantity(side)
    if isinstance(reading, Quantity) and reading.value.constant is not None:
        return reading.value
    return None


def _is_constant(side: str) -> bool:
    return _constant(side) is not None


def _has_variables(side: str) -> bool:
    return isinstance(read_quantity(side), Quantity)


def _are_consistent(values: list[Value | None]) -> bool:
    """Whether all sides are constants and each equals the first, or is it rounded."""
    first = values[0]
    return all(
        first is not None and value is not None
        and (is_same(first, value) or rounds_to(first, value) or rounds_to(value, first))
        for value in values
    )  # fmt: skip


def _is_same_chain(left: Relation, right: Relation) -> bool:
    return all(
        _is_same_step(left.sides[index : index + 2], sign, right.sides[index : index + 2], other)
        for index, (sign, other) in enumerate(zip(left.signs, right.signs, strict=True))
    )


def _is_same_step(left: tuple[str, ...], sign: str, right: tuple[str, ...], other: str) -> bool:
    if sign in (">", "≥"):
        left, sign = left[::-1], _TURNED[sign]
    if other in (">", "≥"):
        right, other = right[::-1], _TURNED[other]
    if sign != other:
        return False
    try:
        ones, others = (
            evaluate(_ANGLES.sub(" ", f"({first})-({second})")).at_points
            for first, second in (left, right)
        )
    except NotAnExpressionError:
        return False
    ratio = _common_ratio(ones, others)
    return ratio is not None and (ratio > 0 or sign in "=≠≈")


def _common_ratio(
    ones: tuple[Decimal | None, ...], others: tuple[Decimal | None, ...]
) -> Decimal | None:
    if len(ones) != len(others):
        return None
    pairs = [(a, b) for a, b in zip(ones, others, strict=True) if a is not None and b is not None]
    if 2 * len(pairs) < len(ones) or any(not a.is_finite() or not b or not a for a, b in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    is_common = all(abs(ratio - ratios[0]) < abs(ratios[0]) * Decimal("1e-22") for ratio in ratios)
    return ratios[0] if is_common else None
