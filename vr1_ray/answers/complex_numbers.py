"""Complex numbers of 50-digit decimals, for the answer checker: `(1+i)^2` is `2i`, `sqrt(-4)` is `2i`.

Only as much as answers need: sums, products, quotients, whole powers, powers of e, roots of real numbers. What is not
here raises ArithmeticError: the expression has no value for the checker.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vr1_ray.answers import decimal_functions as functions

_MAX_POWER = 200


@dataclass(frozen=True, slots=True)
class Complex:
    """`real` + `imaginary` i; a Decimal on either side of a sign is taken as real.

    Example:
        Complex.unit() * Complex.unit()  # Complex(Decimal(-1), Decimal(0))
    """

    real: Decimal
    imaginary: Decimal

    @classmethod
    def unit(cls) -> Any:
        """The imaginary unit."""
        return cls(Decimal(0), Decimal(1))

    @classmethod
    def of(cls, value: Any) -> "Complex":
        """`value` itself, or a real number as a complex one."""
        return value if isinstance(value, Complex) else cls(Decimal(value), Decimal(0))

    def __add__(self, other: Any) -> "Complex":
        """Sum."""
        other = Complex.of(other)
        return Complex(self.real + other.real, self.imaginary + other.imaginary)

    __radd__ = __add__

    def __neg__(self) -> "Complex":
        """Opposite."""
        return Complex(-self.real, -self.imaginary)

    def __sub__(self, other: Any) -> "Complex":
        """Difference."""
        return self + -Complex.of(other)

    def __rsub__(self, other: Any) -> "Complex":
        """Difference from a real number."""
        return Complex.of(other) + -self

    def __mul__(self, other: Any) -> "Complex":
        """Product."""
        other = Complex.of(other)
        return Complex(
            self.real * other.real - self.imaginary * other.imaginary,
            self.real * other.imaginary + self.imaginary * other.real,
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Complex":
        """Quotient; raises ArithmeticError for a division by nought."""
        other = Complex.of(other)
        size = other.real * other.real + other.imaginary * other.imaginary
        upper = self * Complex(other.real, -other.imaginary)
        return Complex(upper.real / size, upper.imaginary / size)

    def __rtruediv__(self, other: Any) -> "Complex":
        """Quotient of a real number."""
        return Complex.of(other) / self

    def __abs__(self) -> Decimal:
        """Absolute value."""
        return (self.real * self.real + self.imaginary * self.imaginary).sqrt()


def real(value: Any) -> Any:
    """`value`, if it is a Decimal; raises ArithmeticError for what only real numbers have."""
    if isinstance(value, Complex):
        raise functions.UndefinedError("of real numbers only")
    return value


def complex_power(base: Any, exponent: Any) -> Any:
    """`base` to a whole power up to 200, or e (any positive number) to a complex one."""
    if not isinstance(base, Complex) and not isinstance(exponent, Complex):
        return functions.power(base, exponent)
    if isinstance(exponent, Complex):
        if isinstance(base, Complex) or base <= 0:
            raise functions.UndefinedError("a complex power")
        angle, size = exponent.imaginary * base.ln(), base**exponent.real
        return Complex(size * functions.cos(angle), size * functions.sin(angle))
    if exponent != exponent.to_integral_value() or abs(exponent) > _MAX_POWER:
        raise functions.UndefinedError(f"power {exponent} of a complex number")
    result = Complex(Decimal(1), Decimal(0))
    for _ in range(abs(int(exponent))):
        result = result * base
    return result if exponent >= 0 else 1 / result


def complex_root(value: Any, index: Any) -> Any:
    """The root of a real number; the square root of a negative one is imaginary."""
    if real(index) == 2 and real(value) < 0:
        return Complex(Decimal(0), (-value).sqrt())
    return functions.root(real(value), index)
