"""Elementary functions of 50-digit decimals, for the answer checker. Pure; series, no floats.

`Decimal` has exp, ln, sqrt and powers of its own; these are the ones it lacks. Every function costs at most
about a hundred multiplications. Outside its domain a function raises ArithmeticError.
"""

from collections.abc import Callable
from decimal import ROUND_FLOOR, Context, Decimal
from math import factorial as integer_factorial
from math import gcd, lcm

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
DEGREE = Decimal("0.0174532925199432957692369076848861271344287188854172545609719144")
_SMALLEST = Decimal("1e-60")
_LARGEST_ANGLE = Decimal("1e12")  # beyond it the remainder of 2 pi has too few digits left
_MAX_FACTORIAL = 500
_MAX_INTEGER = Decimal("1e40")
ROUNDED = Context(prec=30)  # what two ways to the same argument agree in


class UndefinedError(ArithmeticError):
    """The function has no real value there."""


def sin(angle: Decimal) -> Decimal:
    """Sine of an angle in radians, by the Taylor series around 0."""
    if abs(angle) > _LARGEST_ANGLE:
        raise UndefinedError(f"sine of {angle:.3e}")
    angle = angle.remainder_near(2 * PI)
    term = total = angle
    degree = 1
    while abs(term) > _SMALLEST:
        degree += 2
        term = -term * angle * angle / (degree * (degree - 1))
        total += term
    return total


def cos(angle: Decimal) -> Decimal:
    """Cosine of an angle in radians."""
    return sin(angle + PI / 2)


def tan(angle: Decimal) -> Decimal:
    """Tangent of an angle in radians."""
    return _quotient(sin(angle), cos(angle))


def atan(value: Decimal) -> Decimal:
    """Arc tangent: the argument is halved to below 1/8, then the Taylor series."""
    doublings = 0
    while abs(value) > Decimal("0.125"):
        value = value / (1 + (1 + value * value).sqrt())
        doublings += 1
    power = total = value
    degree = 1
    while abs(power) > _SMALLEST:
        power = -power * value * value
        degree += 2
        total += power / degree
    return total * 2**doublings


def asin(value: Decimal) -> Decimal:
    """Arc sine; raises UndefinedError outside [-1, 1]."""
    if abs(value) > 1:
        raise UndefinedError(f"arc sine of {value}")
    if abs(value) == 1:
        return value * PI / 2
    return atan(value / (1 - value * value).sqrt())


def acos(value: Decimal) -> Decimal:
    """Arc cosine; raises UndefinedError outside [-1, 1]."""
    return PI / 2 - asin(value)


def factorial(value: Decimal) -> Decimal:
    """n! of an integer from 0 to 500."""
    if value != value.to_integral_value() or not 0 <= value <= _MAX_FACTORIAL:
        raise UndefinedError(f"factorial of {value}")
    return Decimal(integer_factorial(int(value)))


def binomial(total: Decimal, chosen: Decimal) -> Decimal:
    """How many ways to choose `chosen` of `total`."""
    return factorial(total) / (factorial(chosen) * factorial(total - chosen))


def root(value: Decimal, index: Decimal) -> Decimal:
    """The real root: of negative values too, where the index is odd."""
    if index == 2:
        return value.sqrt()
    if value < 0:
        if index % 2 != 1:
            raise UndefinedError(f"root {index} of {value}")
        return -root(-value, index)
    return value if value == 0 else value ** (1 / index)


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """`base ** exponent`; (-8)^(1/3) is the real root -2."""
    if base < 0 and exponent != exponent.to_integral_value():
        for index in (3, 5, 7):
            numerator = (exponent * index).to_integral_value()
            if abs(exponent * index - numerator) < Decimal("1e-40"):
                return root(base, Decimal(index)) ** numerator
        raise UndefinedError(f"{base} to the power {exponent}")
    return base**exponent


def _quotient(numerator: Decimal, denominator: Decimal) -> Decimal:
    if abs(denominator) < Decimal("1e-40"):
        raise UndefinedError("a pole")
    return numerator / denominator


def floor(value: Decimal) -> Decimal:
    """The largest integer not above."""
    return value.to_integral_value(rounding=ROUND_FLOOR)


def modulo(value: Decimal, divisor: Decimal) -> Decimal:
    """The remainder from 0 up: -67 mod 7 is 3; of integers only."""
    whole, by = _integers([value, divisor])
    if by <= 0:
        raise UndefinedError(f"remainder by {by}")
    return Decimal(whole % by)


def _integers(values: list[Decimal]) -> list[int]:
    if any(value != value.to_integral_value() or abs(value) > _MAX_INTEGER for value in values):
        raise UndefinedError("no integers")
    return [int(value) for value in values]


OF_SEVERAL: dict[str, Callable[[list[Decimal]], Decimal]] = {
    "gcd": lambda values: Decimal(gcd(*_integers(values))),
    "lcm": lambda values: Decimal(lcm(*_integers(values))),
}
FUNCTIONS: dict[str, Callable[[Decimal], Decimal]] = {
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "cot": lambda angle: _quotient(cos(angle), sin(angle)),
    "sec": lambda angle: _quotient(Decimal(1), cos(angle)),
    "csc": lambda angle: _quotient(Decimal(1), sin(angle)),
    "arcsin": asin,
    "arccos": acos,
    "arctan": atan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "ln": lambda value: value.ln(),
    "log": lambda value: value.log10(),
    "lg": lambda value: value.log10(),
    "exp": lambda value: value.exp(),
    "abs": abs,
    "floor": floor,
    "ceil": lambda value: -floor(-value),
    "cbrt": lambda value: root(value, Decimal(3)),
}
CONSTANTS = {
    "pi": PI,
    "e": Decimal("2.71828182845904523536028747135266249775724709369995957496696763"),
    "inf": Decimal("inf"),
}
INVERSES = {"sin": asin, "cos": acos, "tan": atan}
