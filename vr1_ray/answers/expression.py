"""The grammar of expressions in answers: text to tokens, tokens to a value at one point.

A recursive parser that computes as it reads, in 50-digit decimals. Length, depth, digits and exponents are
bounded, so hostile input costs milliseconds at most; nothing is ever evaluated as code.
"""

import re
import zlib
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import lru_cache

from vr1_ray.answers import decimal_functions as functions

MAX_DEPTH = 40
MAX_DIGITS = 45  # of one number
NUM_POINTS = 4
ARITHMETIC = Context(
    prec=50, Emax=2000, Emin=-2000, traps=[Overflow, DivisionByZero, InvalidOperation]
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d{1,4}(?![\w.]))?|\.\d+)"
    r"|(?P<name>[A-Za-z\u0391-\u03c9]+)|(?P<sign>.))"
)
_SUBSCRIPT = re.compile(r"_\s*(?:\{\s*(\w{1,8})\s*\}|\(\s*(\w{1,8})\s*\)|(\w))")
_FUNCTION_RUN = re.compile(
    "(" + "|".join(sorted([*functions.FUNCTIONS, "sqrt", "frac", "binom", "pi", "degrees", "inf"],
                          key=len, reverse=True)) + ")(.?)"
)  # fmt: skip
_SHORT_WORDS = frozenset(
    str.split(
        "am an as at be by do go he hi if in is it me my no of oh ok on or so to up us we all and are"
        " but can for how its may nor not now one out per the too two was who why yes you red"
    )
)
_PRODUCT_ENDS = frozenset("+-)}],;")


class NotAnExpressionError(ValueError):
    """The text is not an expression of this grammar."""


class OverBoundsError(NotAnExpressionError):
    """The text may be an expression, but one over the bounds of this checker."""


def tokens_of(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token; kind is number, name, letter or sign."""
    tokens: list[tuple[str, str]] = []
    has_operator = bool(re.search(r"[-+*/^=\d()|]", text))
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            break
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "name":
            if kind == "number" and len(match[kind]) > MAX_DIGITS:
                raise OverBoundsError("too many digits")
            tokens.append((kind, match[kind]))
            continue
        run = _split_run(match[kind], has_operator)
        if run[-1][0] == "letter" and (subscript := _SUBSCRIPT.match(text, position)):
            name = subscript[1] or subscript[2] or subscript[3]
            run[-1] = ("letter", f"{run[-1][1]}_{name}")
            position = subscript.end()
        tokens.extend(run)
    return tokens


def _split_run(run: str, has_operator: bool) -> list[tuple[str, str]]:
    """Letters written together: a function, a product of up to three variables, else words."""
    if function := _FUNCTION_RUN.fullmatch(run):
        name, letter = function.groups()
        return [("name", name), *([("letter", letter)] if letter else [])]
    is_word = run.lower() in _SHORT_WORDS and not run.isupper()
    if re.fullmatch(r"[b-df-hj-np-tv-z]{3}", run):
        has_operator = True  # "mgh" is no word
    if is_word or len(run) > 4 or (len(run) > 2 and not has_operator):
        raise NotAnExpressionError("words")
    return [("name" if letter == "e" else "letter", letter) for letter in run]


@lru_cache(maxsize=1024)
def _letter_value(name: str, point: int) -> Decimal:
    """A fixed value for a variable, positive at the first points and of either sign at the others."""
    drawn = zlib.crc32(f"{name} {point}".encode()) % 9973
    value = Decimal(drawn + 500) / 4001
    return -value if point >= NUM_POINTS // 2 and drawn % 2 else value


class Parser:
    """Recursive descent at one point; `_sum`, `_product`, `_signed`, `_power`, `_atom` are the levels."""

    def __init__(self, tokens: list[tuple[str, str]], point: int) -> None:
        self.tokens = tokens
        self.point = point
        self.position = 0
        self.depth = 0
        self.bars = 0
        self.scale = Decimal(0)

    def value(self) -> Decimal | None:
        """None if the expression has no real value here."""
        try:
            with localcontext(ARITHMETIC):
                value = self._sum()
        except Overflow as error:
            raise OverBoundsError("too large") from error
        except ArithmeticError:
            return None
        if self.position < len(self.tokens):
            raise NotAnExpressionError(f"unexpected {self._peek()!r}")
        self.scale = max(self.scale, abs(value))
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
            if token in "*/":
                self._take()
                value = value * self._signed() if token == "*" else value / self._signed()
            else:
                value *= self._power()  # 2 sqrt(3), 3x
        return value

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
            base = functions.factorial(base) if self._take() == "!" else base * functions.DEGREE
        return functions.power(base, self._exponent()) if self._peek() == "^" else base

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
            return _letter_value(token, self.point)
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
            value = functions.root(self._atom(), index)
        elif name in ("frac", "binom"):
            first, second = self._atom(), self._atom()
            value = first / second if name == "frac" else functions.binomial(first, second)
        elif name in functions.FUNCTIONS:
            value = self._function(name)
        else:
            raise NotAnExpressionError(f"unexpected {name!r}")
        self.depth -= 1
        return value

    def _function(self, name: str) -> Decimal:
        """sin x, sin^2 x, sin^{-1} x, log_2 8, ln(2x)."""
        base = None
        if name == "log" and self._peek() == "_":
            self._take()
            base = self._atom()
        exponent = self._exponent() if self._peek() == "^" else Decimal(1)
        argument = self._argument()
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
