"""The value of an arithmetic or algebraic expression, for the answer checker.

Computed in 50-digit decimals by the small parser of `expression.py`, so that `sqrt(12)` and `2 sqrt(3)`
come out equal and 3.14 does not equal pi. An expression with letters is compared at fixed points.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache

from vr1_ray.answers.complex_numbers import Complex
from vr1_ray.answers.expression import NUM_POINTS, Parser
from vr1_ray.answers.tokens import MAX_DIGITS, NotAnExpressionError, OverBoundsError, tokens_of

MAX_EXPRESSION_CHARS = 400
# Wide enough that the product or quotient of any two values is within it: comparing raises nothing.
COMPARISON = Context(prec=50, Emax=10_000, Emin=-10_000)
_TOLERANCE = Decimal("1e-38")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_MIXED = re.compile(r"(?<![\d.)}^/])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])")
_MIXED_FRAC = re.compile(r"(?<![\d.^])(\d+)\s*frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_DECIMAL_FORM = re.compile(
    r"[-+]?\s*\d*\.(\d+)\s*(?:(?:e|\*\s*10\s*\^)\s*[({]?\s*([-+]?\d{1,4})\s*[)}]?)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What an expression is worth at each fixed point; a constant has one point.

    Example:
        evaluate("3.10")  # Value(at_points=(Decimal("3.10"),), scale=Decimal("3.10"), quantum=Decimal("0.01"))
    """

    at_points: tuple[Decimal | None, ...]
    """None where the expression has no real value."""
    scale: Decimal
    """The largest term met; the rounding error is a fraction of it."""
    quantum: Decimal | None = None
    """The last digit's place, if the expression is written as a finite decimal."""

    @property
    def constant(self) -> Decimal | None:
        """The value, if the expression has no letters."""
        return self.at_points[0] if len(self.at_points) == 1 else None


@lru_cache(maxsize=4096)
def evaluate(text: str) -> Value:
    """The value of an expression. Raises NotAnExpressionError, over the bounds OverBoundsError."""
    text = text.strip()
    if _NUMBER.fullmatch(text) and len(text) <= MAX_DIGITS:
        number = Decimal(text)
        return Value(at_points=(number,), scale=abs(number), quantum=_quantum(text))
    if not text:
        raise NotAnExpressionError("empty")
    if len(text) > MAX_EXPRESSION_CHARS:
        raise OverBoundsError("too long")
    text = _MIXED_FRAC.sub(r"(\1+\2/\3)", _MIXED.sub(r"(\1+\2/\3)", text))
    tokens = tokens_of(text)
    letters = {token for kind, token in tokens if kind in ("letter", "function")}
    if letters == {"i"} or (not letters and "sqrt" in text and "-" in text):
        return _complex_value(tokens, text)
    has_letters = bool(letters)
    scale, values = Decimal(0), []
    for point in range(NUM_POINTS if has_letters else 1):
        parser = Parser(tokens, point)
        values.append(parser.value())
        scale = max(scale, parser.scale)
    if all(value is None for value in values):
        raise NotAnExpressionError("no finite value")
    return Value(at_points=tuple(values), scale=scale, quantum=_quantum(text))


def _complex_value(tokens: list[tuple[str, str]], text: str) -> Value:
    """A real number, or what four sums of both parts are worth: no real number equals all four of them."""
    parser = Parser(tokens, 0, is_complex=True)
    value: Decimal | Complex | None = parser.value()
    if value is None:
        raise NotAnExpressionError("no finite value")
    if isinstance(value, Complex):
        real, imaginary = value.real, value.imaginary
        if not (real.is_finite() and imaginary.is_finite()):
            raise NotAnExpressionError("no finite value")
        if abs(imaginary) > _TOLERANCE * max(parser.scale, Decimal(1)):
            with localcontext(COMPARISON):
                sums = (real, imaginary, real - imaginary, real + 2 * imaginary)
            return Value(at_points=sums, scale=parser.scale)
        value = real
    return Value(at_points=(value,), scale=parser.scale, quantum=_quantum(text))


def is_same(left: Value, right: Value) -> bool:
    """Equal at all points where both are defined, but for the rounding of 50-digit arithmetic."""
    count = max(len(left.at_points), len(right.at_points))
    pairs = [
        (one, other)
        for one, other in zip(_spread(left, count), _spread(right, count), strict=True)
        if one is not None and other is not None
    ]
    if not pairs or 2 * len(pairs) < count:
        return False
    scale = max(left.scale, right.scale)
    return all(is_close(one, other, scale) for one, other in pairs)


def is_close(left: Decimal, right: Decimal, scale: Decimal) -> bool:
    """Equal but for the rounding of terms as large as `scale`."""
    if left == right:
        return True
    if not (left.is_finite() and right.is_finite()):
        return False
    scale = max(scale, abs(left), abs(right))
    return abs(COMPARISON.subtract(left, right)) <= COMPARISON.multiply(_TOLERANCE, scale)


def is_close_to(number: Decimal, other: Decimal, share: Decimal) -> bool:
    """Whether two finite numbers differ by at most a share of the first."""
    if not (number.is_finite() and other.is_finite()):
        return False
    distance = abs(COMPARISON.subtract(number, other))
    return distance <= COMPARISON.multiply(share, abs(number))


def rounds_to(value: Value, reference: Value) -> bool:
    """Whether a constant, rounded to the digits that a decimal reference is written with, equals it."""
    number, wanted = value.constant, reference.constant
    if number is None or wanted is None or reference.quantum is None:
        return False
    if not number.is_finite() or abs(number) > abs(wanted) * 2 + 1:
        return False
    with localcontext(COMPARISON):
        steps = (number / reference.quantum).to_integral_value(rounding=ROUND_HALF_UP)
        return steps * reference.quantum == wanted


def scaled(value: Value, factor: Decimal) -> Value:
    """`value` times `factor`, its last digit's place with it."""
    with localcontext(COMPARISON):
        return Value(
            at_points=tuple(None if one is None else one * factor for one in value.at_points),
            scale=value.scale * abs(factor),
            quantum=None if value.quantum is None else value.quantum * factor,
        )


def _spread(value: Value, count: int) -> tuple[Decimal | None, ...]:
    return value.at_points if len(value.at_points) == count else value.at_points * count


def _quantum(text: str) -> Decimal | None:
    """The place of the last digit: 0.01 of "3.10", 10 of "1.52e3"; None for what is no finite decimal."""
    form = _DECIMAL_FORM.fullmatch(text)
    return Decimal(1).scaleb(int(form[2] or 0) - len(form[1])) if form else None
