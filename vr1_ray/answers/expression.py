"""The grammar of expressions in answers: tokens to a value at one point.

A recursive parser that computes as it reads, in 50-digit decimals, or in pairs of them where the letter i is
the imaginary unit. Length, depth, digits and exponents are
bounded, so hostile input costs milliseconds at most; nothing is ever evaluated as code.
"""

import zlib
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import lru_cache

from vr1_ray.answers import decimal_functions as functions
from vr1_ray.answers.complex_numbers import Complex, complex_power, complex_root, real
from vr1_ray.answers.tokens import NotAnExpressionError, OverBoundsError

MAX_DEPTH = 40
NUM_POINTS = 4
ARITHMETIC = Context(
    prec=50, Emax=2000, Emin=-2000, traps=[Overflow, DivisionByZero, InvalidOperation]
)
_PRODUCT_ENDS = frozenset("+-)}],;")


@lru_cache(maxsize=1024)
def _letter_value(name: str, point: int) -> Decimal:
    """A fixed value for a variable, positive at the first points and of either sign at the others."""
    drawn = zlib.crc32(f"{name} {point}".encode()) % 9973
    value = Decimal(drawn + 500) / 4001
    return -value if point >= NUM_POINTS // 2 and drawn % 2 else value


class Parser:
    """Recursive descent at one point; `_sum`, `_product`, `_signed`, `_power`, `_atom` are the levels."""

    def __init__(self, tokens: list[tuple[str, str]], point: int, is_complex: bool = False) -> None:
        self.tokens = tokens
        self.point = point
        self.is_complex = is_complex
        self.position = 0
        self.depth = 0
        self.bars = 0
        self.scale = Decimal(0)

    def value(self) -> Decimal | None:
        """None if the expression has no real value here."""
        try:
            with localcontext(ARITHMETIC):
                value = self._sum()
                self.scale = max(self.scale, abs(value))
        except Overflow as error:
            raise OverBoundsError("too large") from error
        except ArithmeticError:
            return None
        if self.position < len(self.tokens):
            raise NotAnExpressionError(f"unexpected {self._peek()!r}")
        return value

    def _peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def _kind(self) -> str:
        return self.tokens[self.position][0] if self.position < len(self.tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise NotAnExpressionError(f"expected {expected!r}, found {token!r}")
        self.position += 1
        return token

    def _sum(self) -> Decimal:
        self._descend()
        value = self._product()
        while self._peek() in ("+", "-"):
            is_plus = self._take() == "+"
            term = self._product()
            self.scale = max(self.scale, abs(value), abs(term))
            value = value + term if is_plus else value - term
        self.depth -= 1
        return value

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OverBoundsError("too deep")

    def _product(self) -> Decimal:
        value = self._signed()
        while (token := self._peek()) and not self._ends_product(token):
            if token in ("*", "/", "mod"):
                value = self._operated(value, self._take())
            else:
                if self._kind() == self.tokens[self.position - 1][0] == "number":
                    raise NotAnExpressionError("two numbers side by side")
                value *= self._power()  # 2 sqrt(3), 3x
        return value

    def _operated(self, value: Decimal, operator: str) -> Decimal:
        operand = self._signed()
        if operator == "mod":
            return functions.modulo(real(value), real(operand))
        return value * operand if operator == "*" else value / operand

    def _ends_product(self, token: str) -> bool:
        return token in _PRODUCT_ENDS or (token == "|" and self.bars > 0)

    def _signed(self) -> Decimal:
        sign = 1
        while self._peek() in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        return sign * self._power()

    def _power(self) -> Decimal:
        base = self._atom()
        while self._peek() in ("!", "degrees"):
            base = (
                functions.factorial(real(base)) if self._take() == "!" else base * functions.DEGREE
            )
        if self._peek() != "^":
            return base
        exponent = self._exponent()
        if self.is_complex:
            return complex_power(base, exponent)
        return functions.power(base, exponent)

    def _exponent(self) -> Decimal:
        self._take("^")
        self._descend()
        exponent = self._signed()
        self.depth -= 1
        return exponent

    def _atom(self) -> Decimal:
        kind, token = self._kind(), self._take()
        if kind == "number":
            return Decimal(token)
        if kind == "letter":
            is_unit = self.is_complex and token == "i"
            return Complex.unit() if is_unit else _letter_value(token, self.point)
        if kind == "function":
            return self._unknown_function(token)
        if kind == "name":
            return self._named(token)
        if token == "|":
            return self._absolute()
        closing = {"(": ")", "{": "}", "[": "]"}.get(token)
        if closing is None:
            raise NotAnExpressionError(f"unexpected {token!r}")
        bars, self.bars = self.bars, 0
        value = self._sum()
        self.bars = bars
        self._take(closing)
        return value

    def _absolute(self) -> Decimal:
        self.bars += 1
        value = abs(self._sum())
        self.bars -= 1
        self._take("|")
        return value

    def _named(self, name: str) -> Decimal:
        self._descend()
        if name in functions.CONSTANTS:
            value = functions.CONSTANTS[name]
        elif name == "sqrt":
            index = self._atom() if self._peek() == "[" else Decimal(2)
            root = complex_root if self.is_complex else functions.root
            value = root(self._atom(), index)
        elif name in ("frac", "binom"):
            first, second = self._atom(), self._atom()
            value = (
                first / second if name == "frac" else functions.binomial(real(first), real(second))
            )
        elif name in functions.OF_SEVERAL:
            value = functions.OF_SEVERAL[name](self._arguments())
        elif name in functions.FUNCTIONS:
            value = self._function(name)
        else:
            raise NotAnExpressionError(f"unexpected {name!r}")
        self.depth -= 1
        return value

    def _unknown_function(self, name: str) -> Decimal:
        """f(2), f'(x + 1): a value of its own for each name and arguments."""
        self._descend()
        given = " ".join(f"{functions.ROUNDED.plus(value):e}" for value in self._arguments())
        self.depth -= 1
        return _letter_value(f"{name}({given})", self.point)

    def _arguments(self) -> list[Decimal]:
        """(a, b, ...)"""
        self._take("(")
        values = [self._sum()]
        while self._peek() in (",", ";"):
            self._take()
            values.append(self._sum())
        self._take(")")
        return [real(value) for value in values]

    def _function(self, name: str) -> Decimal:
        """sin x, sin^2 x, sin^{-1} x, log_2 8, ln(2x)."""
        base = None
        if name == "log" and self._peek() == "_":
            self._take()
            base = real(self._atom())
        exponent = real(self._exponent()) if self._peek() == "^" else Decimal(1)
        argument = self._argument()
        if name == "abs" and exponent == 1:
            return abs(argument)
        argument = real(argument)
        if exponent == -1 and name in functions.INVERSES:
            return functions.INVERSES[name](argument)
        value = argument.ln() / base.ln() if base else functions.FUNCTIONS[name](argument)
        return functions.power(value, exponent)

    def _argument(self) -> Decimal:
        """A bracket, or the product up to the next sign or function: 2x of "sin 2x cos x"."""
        if self._peek() in ("(", "{", "["):
            return self._power()
        value = self._signed()
        while self._kind() in ("number", "letter") or self._peek() == "pi":
            value *= self._power()
        if self._peek() == "/" and self.tokens[self.position - 1][1] == "pi":  # sin pi/6
            self._take()
            value /= self._signed()
        return value
