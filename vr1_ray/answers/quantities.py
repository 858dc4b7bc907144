"""Quantities and ratios of the answer checker: when two values with units, or two proportions, are the same.

3:4 is 6:8 and the quotient 3/4; 7:30 and 7:31 are times and compared as they are. 50 % is 0.5 and, the sign missing, 50.
"""

import re
from decimal import Decimal, localcontext
from itertools import pairwise

from vr1_ray.answers.reading import Quantity, Reading, Words, read_quantity
from vr1_ray.answers.units import may_be_equal, split_unit
from vr1_ray.answers.value import COMPARISON, Value, is_close, is_same, rounds_to, scaled

_CLOCK = re.compile(r"\d{1,2}:[0-5]\d")


def quotient_of(dividend: str, divisor: str) -> Reading:
    """What a ratio is worth as a number, without units that may be equal; Words if it is worth none."""
    (above, unit), (below, other) = split_unit(dividend), split_unit(divisor)
    if not may_be_equal(unit, other):
        return Words(text=f"{dividend}:{divisor}")
    return read_quantity(f"({above})/({below})")


def ratios_agree(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Proportional, in order; two clock times are compared as they are."""
    if len(left) != len(right):
        return False
    readings = [
        (read_quantity(one), read_quantity(other)) for one, other in zip(left, right, strict=True)
    ]
    values = [
        (one.value, other.value)
        for one, other in readings
        if isinstance(one, Quantity) and isinstance(other, Quantity)
    ]
    if len(values) < len(readings):
        return False
    constants = [(one.constant, other.constant) for one, other in values]
    numbers = [(one, other) for one, other in constants if one is not None and other is not None]
    if len(numbers) < len(values):
        return all(is_same(one, other) for one, other in values)
    is_clock = all(_CLOCK.fullmatch(":".join(side)) for side in (left, right))
    if is_clock or not all(one.is_finite() and other.is_finite() for one, other in numbers):
        return all(one == other for one, other in numbers)
    with localcontext(COMPARISON):
        return all(
            is_close(one * next_other, other * next_one, abs(one * next_other))
            for (one, other), (next_one, next_other) in pairwise(numbers)
        )


def quantities_agree(left: Quantity, right: Quantity) -> bool:
    """Equal values with units that may be equal; 50 % is 0.5 and, the sign missing, 50."""
    units = {left.unit, right.unit}
    if not may_be_equal(left.unit, right.unit):
        return False
    if _values_agree(left.value, right.value):
        return True
    if units != {"%", ""}:
        return False
    if left.unit == "%":
        return _values_agree(scaled(left.value, Decimal("0.01")), right.value)
    return _values_agree(scaled(left.value, Decimal(100)), right.value)


def _values_agree(left: Value, right: Value) -> bool:
    return is_same(left, right) or rounds_to(left, right)
