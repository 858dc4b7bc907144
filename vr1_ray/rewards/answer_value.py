"""Second stage of the answer checker: the value of an arithmetic or algebraic expression.

A small parser over exactly the grammar answers use, computing in 50-digit decimals: `sqrt(12)` and
`2 sqrt(3)` so come out equal and 3.14 does not equal pi. Expressions with letters are compared at fixed
points. Length, depth and exponents are bounded, so hostile input costs microseconds; nothing is ever
evaluated as code.
"""

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext

MAX_EXPRESSION_CHARS = 300
MAX_DEPTH = 40
MAX_DIGITS = 40  # of one number
_ARITHMETIC = Context(
    prec=50, Emax=2000, Emin=-2000, traps=[Overflow, DivisionByZero, InvalidOperation]
)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510")
_TOLERANCE = Decimal("1e-35")
_POINTS = tuple(map(Decimal, ("1.37", "2.91", "0.53")))  # of a first letter; others are shifted
_WORD = re.compile(r"[A-Za-z]{3}|^\s*[A-Za-z]{2}\s*$")  # "no" is a word, "xy + 1" is not
_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d{1,3}(?!\d))?|\.\d+)|(sqrt|frac|pi)|([A-Za-z])|(.))"
)


class NotAnExpressionError(ValueError):
    """The text is not an expression of this grammar, or over its bounds."""


def evaluate(text: str) -> tuple[Decimal, ...]:
    """The values of an expression at the fixed points; a constant has the same value at each.

    Raises NotAnExpressionError.
    """
    text = re.sub(r"^([-+]?)\s*(\d+)\s+(\d+)\s*/\s*(\d+)$", r"\1(\2+\3/\4)", text)  # 1 1/2
    if not text or len(text) > MAX_EXPRESSION_CHARS:
        raise NotAnExpressionError("empty or too long")
    if _WORD.search(re.sub(r"sqrt|frac|pi", " ", text)):
        raise NotAnExpressionError("words")
    try:
        with localcontext(_ARITHMETIC):
            return tuple(_Parser(text, point).parse() for point in _POINTS)
    except ArithmeticError as error:
        raise NotAnExpressionError(f"no finite value: {type(error).__name__}") from error


def is_close(left: Decimal, right: Decimal) -> bool:
    """Equal but for the rounding of 50-digit arithmetic."""
    scale = max(abs(left), abs(right), Decimal(1))
    return abs(_ARITHMETIC.subtract(left, right)) <= _TOLERANCE * scale


class _Parser:
    """Recursive descent; `sum_`, `product`, `power` and `atom` are the levels of the grammar."""

    def __init__(self, text: str, point: Decimal) -> None:
        self.tokens = [match.groups() for match in _TOKEN.finditer(text.strip())]
        self.point = point
        self.position = 0
        self.depth = 0

    def parse(self) -> Decimal:
        value = self.sum_()
        if self.position < len(self.tokens):
            raise NotAnExpressionError(f"unexpected {self.peek()!r}")
        return value

    def peek(self) -> str:
        if self.position >= len(self.tokens):
            return ""
        return next(part for part in self.tokens[self.position] if part is not None)

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise NotAnExpressionError(f"expected {expected!r}, found {token!r}")
        self.position += 1
        return token

    def sum_(self) -> Decimal:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAnExpressionError("too deep")
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        self.depth -= 1
        return value

    def product(self) -> Decimal:
        value = self.signed()
        while (token := self.peek()) and token not in "+-)}":
            if token in "*/":
                self.take()
                value = value * self.signed() if token == "*" else value / self.signed()
            else:
                value *= self.power()  # 2 sqrt(3), 3x
        return value

    def signed(self) -> Decimal:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return sign * self.power()

    def power(self) -> Decimal:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAnExpressionError("too deep")
        exponent = self.signed()
        self.depth -= 1
        return base**exponent

    def atom(self) -> Decimal:
        number, name, letter, _ = (
            self.tokens[self.position] if self.peek() else ("", None, None, None)
        )
        token = self.take()
        if number:
            if len(number) > MAX_DIGITS:
                raise NotAnExpressionError("too many digits")
            return Decimal(number)
        if letter:
            return self.point + Decimal(ord(letter)) / 7
        if token in ("(", "{"):
            value = self.sum_()
            self.take(")" if token == "(" else "}")
            return value
        return self.named(name)

    def named(self, name: str | None) -> Decimal:
        if name == "pi":
            return _PI
        if name == "sqrt":
            return self.atom().sqrt()
        if name == "frac":
            return self.atom() / self.atom()
        raise NotAnExpressionError("not an expression")
