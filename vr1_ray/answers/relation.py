"""Equations and inequalities of the answer checker: what they name, and when two say the same.

"x = 5", "AB = 5 cm" and "angle A = 40" name a value; "y = 2x + 1" relates variables and names nothing. Two
relations are the same if the differences of their sides are proportional.
"""

import re
from decimal import Decimal

from vr1_ray.answers.decimal_functions import DEGREE
from vr1_ray.answers.names import is_function, is_name, spelled_name
from vr1_ray.answers.reading import Items, Quantity, Relation, factors_of, read_quantity
from vr1_ray.answers.tokens import NotAnExpressionError, tokens_of
from vr1_ray.answers.value import Value, evaluate, is_close_to, is_same, rounds_to, scaled

_PI_AS_3_14 = Decimal("0.0006")
_NUMBERED_ANGLE = re.compile(r"(?:\bangle|∠)\s*(\d)(?![\d.])")
_ANGLES = re.compile(r"\b(?:angle|degrees)\b")
_TURNED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


def named_values(relation: Relation) -> tuple[str, ...]:
    """The texts a relation gives for one value: ("2√3", "3.46") of "x = 2√3 ≈ 3.46".

    () if it names none, or if it contradicts itself: 2/6 = 1/2.
    """
    if not set(relation.signs) <= {"=", "≈"}:
        return ()
    sides = relation.sides
    name = name_of(relation)
    if name:
        sides = sides[1:] if is_name(sides[0]) else sides[:-1]
    constants = tuple(side for side in sides if _constant(side))
    if not are_consistent(tuple(side for side in relation.sides if _constant(side))):
        return ()
    if name and is_function(relation.sides[0]):
        return sides[-1:]
    if name and len(sides) > 1 and constants and sides[-1] == constants[-1]:  # S = πr² = 9π
        return constants
    if len(sides) == 1:
        return sides if constants or not _has_variables(sides[0]) else ()
    return sides if len(constants) == len(sides) else ()


def named_expressions(relation: Relation, *, is_asked_for: bool) -> tuple[str, ...]:
    """The texts with letters that a relation gives for what it names: "4x" of "y = 4x"; () if they differ.

    The name is one letter or thing that doesn't occur in them: "2y = 4x" and "x = 2x" name nothing. Where the
    relation itself is asked for, "y = 4x" is an equation that "4x" doesn't say; "AB = 2a" is still a value.
    """
    if not set(relation.signs) <= {"="} or not is_name(relation.sides[0]):
        return ()
    sides = relation.sides[1:]
    values = [read_quantity(side) for side in sides]
    name = "".join(relation.sides[0].split())
    given = [value.value for value in values if isinstance(value, Quantity) and not value.unit]
    if len(given) < len(sides) or given[0].constant is not None:
        return ()
    if any(not is_same(given[0], value) for value in given):
        return ()
    try:
        letters = set().union(*map(_letters, sides))
    except NotAnExpressionError:  # "s old": its letters can't be told from its words
        return ()
    is_equation = is_asked_for and len(name) == 1 and letters != {"i"}
    return () if is_equation or name in letters else sides


def _letters(side: str) -> set[str]:
    return {token for kind, token in tokens_of(side) if kind in ("letter", "function")}


def name_of(relation: Relation) -> str:
    """The name that a relation gives a value to, in one spelling; "" if there is none, "*" for one in words."""
    first, last = relation.sides[0], relation.sides[-1]
    if is_name(first):
        return spelled_name(first)
    return spelled_name(last) if is_name(last) and len(relation.sides) == 2 else ""


def is_solved(relation: Relation) -> bool:
    """Whether a relation says what one thing is: "x = -2", not "2x + 4 = 0"."""
    return bool(name_of(relation)) and any(_constant(side) for side in named_values(relation))


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


def _constant(side: str) -> Value | None:
    reading = read_quantity(side)
    if isinstance(reading, Quantity) and reading.value.constant is not None:
        return reading.value
    return None


def _has_variables(side: str) -> bool:
    return isinstance(read_quantity(side), Quantity)


def are_consistent(sides: tuple[str, ...]) -> bool:
    """Whether constants in a chain are equal, or rounded, or the same in another unit."""
    readings = [reading for reading in map(read_quantity, sides) if isinstance(reading, Quantity)]
    return all(_is_same_constant(readings[0], other, "pi" in sides[0]) for other in readings[1:])


def _is_same_constant(one: Quantity, other: Quantity, has_pi: bool) -> bool:
    if one.unit and other.unit and one.unit != other.unit:
        factors = factors_of(one.unit, other.unit)
        if not factors:
            return True  # units of which nothing is known here: 5 m/s = 18 km/h
        return is_same(scaled(one.value, factors[0]), scaled(other.value, factors[1]))
    first, second = one.value, other.value
    if {one.unit, other.unit} == {"%", ""}:
        first, second = (
            scaled(side.value, Decimal("0.01")) if side.unit else side.value
            for side in (one, other)
        )
    if {one.unit, other.unit} == {"degree", ""}:  # 90° = π/2
        turned = [scaled(side.value, DEGREE) if side.unit else side.value for side in (one, other)]
        if is_same(*turned):
            return True
    if is_same(first, second) or rounds_to(first, second) or rounds_to(second, first):
        return True
    worth, rounded = first.constant, second.constant
    if worth is None or rounded is None or not (has_pi and second.quantum):
        return False
    return is_close_to(worth, rounded, _PI_AS_3_14)


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
        sides = [[evaluate(_without_angles(side)) for side in step] for step in (left, right)]
        if all(side.constant is not None for step in sides for side in step):
            return _are_same_sides(*sides, is_turned=sign in "=≠≈")
        ones, others = (
            evaluate(_without_angles(f"({first})-({second})")).at_points
            for first, second in (left, right)
        )
    except NotAnExpressionError:
        return False
    ratio = _common_ratio(ones, others)
    return ratio is not None and (ratio > 0 or sign in "=≠≈")


def _without_angles(side: str) -> str:
    """Without the word; a numbered angle is a letter: angle 1 = angle 2 is not 1 = 2."""
    return _ANGLES.sub(" ", _NUMBERED_ANGLE.sub(r"θ_\1", side))


def _are_same_sides(left: list[Value], right: list[Value], *, is_turned: bool) -> bool:
    """Whether relations between constants have the same sides: 1 < 2 is not 3 < 5."""
    if all(is_same(one, other) for one, other in zip(left, right, strict=True)):
        return True
    return is_turned and all(
        is_same(one, other) for one, other in zip(left, right[::-1], strict=True)
    )


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
