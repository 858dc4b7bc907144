"""The words of the grammar of expressions: text to numbers, names, letters and signs.

Letters written together are a function, a product of variables, or words, which are no expression. A letter
takes its index ("a_{n+1}") and its accent ("vec AB") with it. f( and g( begin the value of an unknown function.
"""

import re

from vr1_ray.answers import decimal_functions as functions

MAX_DIGITS = 45  # of one number
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d{1,4}(?![\w.]))?|\.\d+)"
    r"|(?P<name>[A-Za-z\u0391-\u03c9]+)|(?P<sign>.))"
)
_SUBSCRIPT = re.compile(r"_\s*(?:\{\s*([\w\s+*',-]{1,24}?)\s*\}|\(\s*(\w{1,8})\s*\)|(\w))")
_ACCENT = re.compile(
    r"\s*(vec|bar|hat|tilde|dot)\b\s*(?P<open>[({]\s*)?([A-Za-zα-ω]{1,2})\b(?(open)\s*[)}])"
)
_UNKNOWN_FUNCTION = re.compile(r"'{0,3}(?=\s?\()")
_FUNCTION_RUN = re.compile(
    "(" + "|".join(sorted([*functions.FUNCTIONS, *functions.OF_SEVERAL, "sqrt", "frac", "binom", "pi", "degrees", "inf", "mod"],
                          key=len, reverse=True)) + ")(.?)"
)  # fmt: skip
_SHORT_WORDS = frozenset(
    str.split(
        "am an as at be by do go he hi if in is it me my no of oh ok on or so to up us we all and are"
        " but can for how its may nor not now one out per the too two was who why yes you red"
    )
)


class NotAnExpressionError(ValueError):
    """The text is not an expression of this grammar."""


class OverBoundsError(NotAnExpressionError):
    """The text may be an expression, but one over the bounds of this checker."""


def tokens_of(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token; kind is number, name, letter, function or sign."""
    tokens: list[tuple[str, str]] = []
    has_operator = bool(re.search(r"[-+*/^=\d()|]", text))
    position = 0
    while position < len(text):
        if accent := _ACCENT.match(text, position):
            tokens.append(("letter", f"{accent[1]} {accent[3]}"))
            position = accent.end()
            continue
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
        is_raised = text[position : position + 1] in ("^", "_")  # at^2 is no word
        run = _split_run(match[kind], has_operator, is_raised)
        if run[-1][0] == "letter" and (subscript := _SUBSCRIPT.match(text, position)):
            name = subscript[1] or subscript[2] or subscript[3]
            run[-1] = ("letter", f"{run[-1][1]}_{name.replace(' ', '')}")
            position = subscript.end()
        elif call := _call(run, tokens, text, position):
            run[-1] = ("function", f"{run[-1][1]}{call[0].strip()}")
            position = call.end()
        tokens.extend(run)
    return tokens


def _call(
    run: list[tuple[str, str]], before: list[tuple[str, str]], text: str, position: int
) -> re.Match[str] | None:
    """What follows the f of f(x): primes; None for a factor, as the g of m g (h + r)."""
    is_factor = bool(before) and before[-1][0] in ("letter", "number")
    if run[-1] != ("letter", "f") and (run != [("letter", "g")] or is_factor):
        return None
    return _UNKNOWN_FUNCTION.match(text, position)


def _split_run(run: str, has_operator: bool, is_raised: bool) -> list[tuple[str, str]]:
    """Letters written together: a function, a product of up to three variables, else words."""
    if function := _FUNCTION_RUN.fullmatch(run):
        name, letter = function.groups()
        return [("name", name), *([("letter", letter)] if letter else [])]
    is_word = run.lower() in _SHORT_WORDS and not run.isupper() and not is_raised
    if re.fullmatch(r"[b-df-hj-np-tv-z]{3}", run):
        has_operator = True  # "mgh" is no word
    if is_word or len(run) > 4 or (len(run) > 2 and not has_operator):
        raise NotAnExpressionError("words")
    return [("name" if letter == "e" else "letter", letter) for letter in run]
