"""Names of values in answers: "AB" of "AB = 5", "V_1:V_2" of "V_1:V_2 = 3:8", "P(A|B)", "19 mod 4", "area of ABC".

A name is one thing: a letter, an index, a segment, an angle, a ratio or product of such, a function at a place, an
operation that the grammar of expressions doesn't know (an integral, a limit), or words. "x + y" and "2x" are none.
"""

import re

_INDEX = r"(?:_(?:\{[^{}]{1,20}\}|\w))"
_LETTER = rf"[A-Za-zα-ω](?:{_INDEX}|\d)?'{{0,3}}"
_VECTOR = r"(?:vec|bar|hat)\s+[A-Za-z]{1,2}"
_SEGMENT = rf"(?:{_LETTER}|[A-Z]'?[A-Z]'?)"
_PART = rf"(?:{_SEGMENT}|S{_INDEX}|[a-z]\([A-Za-z0-9]{{1,4}}\))"
_NAME = re.compile(
    r"(?:m|the|measure of|length of)?\s*(?:angle|triangle|∠)?\s*\(?(?:[A-Z]{1,4}|(?:[A-Z]'?){2,3}|\d|[α-ω])'?\)?"
    rf"|{_LETTER}|\|\s*(?:[A-Z]{{1,2}}|z|{_VECTOR}(?:\s*[-+]\s*{_VECTOR})?)\s*\||{_PART}(?:\s*:\s*{_PART}){{1,3}}|{_PART}\s*/\s*{_PART}"
    rf"|frac\{{\s*{_PART}\s*\}}\s*\{{\s*{_PART}\s*\}}|{_VECTOR}(?:\s*\*\s*{_VECTOR})?"
    rf"|\({_LETTER},\s*{_LETTER}(?:,\s*{_LETTER})?\)"
    r"|(?:sin|cos|tan|cot)\s*(?:angle\s*)?\(?(?:[A-Z]{1,3}|[a-zα-ω])\)?|\d?\s?[A-Z]_\{?[A-Za-z ]+\}?"
    rf"|[CAP]_\{{?\d+\}}?\s*\^\s*\{{?\d+\}}?|[A-Z]?[A-Za-z]_\{{?\d\}}?(?:\s*[*+-]?\s*[A-Z]?[A-Za-z]_\{{?\d\}}?){{1,2}}"
    r"|[A-Z]\s*[∪∩∖]\s*[A-Z](?:\s*[∪∩∖]\s*[A-Z])?"
)  # fmt: skip
_FUNCTION = re.compile(
    r"[A-Za-zα-ω](?:'{0,2}|\^\s*\{?\(?-1\)?\}?)\s*[(\[](?:[^()\[\]=<>]|\([^()=<>]*\)){1,24}[)\]]|(?:Var|Cov|Pr|Re|Im|rank|dim|det|deg|ord|card|tr|arg|max|min|gcd|lcm|sup|inf)(?![a-z]{2})"
    r"\s*\(?[^()=<>]{1,24}\)?|dy\s*/\s*dx|frac\{dy\}\{dx\}|y'"
)
_OPERATION = re.compile(
    r"(?:int|iint|oint|sum|prod|lim)\s*[_^(\s].{1,120}"
    r"|\d{1,6}\s*(?:[☆★⊕⊗△▽◇※#@]|(?:oplus|otimes|star|triangle|diamond|bullet|odot)\b)\s*\d{1,6}"
)
_VERBAL = re.compile(
    r"[A-Za-z]{3,}(?:[ _][A-Za-z]+){0,6}|[A-Za-z]{3,}\s*(?:_(?:\w|\{\w{1,4}\}))?\s*\([^()=]*\)"
)
_POINT = re.compile(r"(?:[Pp]oint\s+)?([A-Z]'{0,2})\s?\([^()]*[,;][^()]*\)\Z")
_ROMAN = re.compile(r"[IVX]{2,5}|d[a-z]/d[a-z]")
_NO_NAME = frozenset(("pi", "inf", "e"))
_NOT_IN_NAME = re.compile(r"[_\s{}()|∠]|\bm\b|\bangle\b|\bthe\b|\btriangle\b|measure of|length of")
_ROOTS = re.compile(r"([A-Za-z])_?\{?\d\}?")


def is_name(side: str) -> bool:
    """Whether a side of a relation names what the other sides are worth."""
    if side.isdigit() or side in _NO_NAME or len(side) > 160:
        return False
    return any(form.fullmatch(side) for form in (_NAME, _FUNCTION, _OPERATION, _VERBAL))


def is_function(side: str) -> bool:
    """Whether a name is a function at a place: of "f(2) = 2^2 + 1 = 5" the last side counts."""
    return bool(_FUNCTION.fullmatch(side))


def spelled_name(name: str) -> str:
    """A name in one spelling (AB is BA, \\angle A is A); "*" for words."""
    if _VERBAL.fullmatch(name) and not _NAME.fullmatch(name) and not _FUNCTION.fullmatch(name):
        return "*"
    bare = _NOT_IN_NAME.sub("", name) or name
    return min(bare, bare[::-1]) if bare.isalpha() and bare.isupper() else bare


def may_be_same_name(left: str, right: str) -> bool:
    """Whether two names in words may name one thing: "area" and "area of ABC", not "length" and "width"."""
    if "*" not in (spelled_name(left), spelled_name(right)) or not (
        _VERBAL.fullmatch(left) and _VERBAL.fullmatch(right)
    ):
        return True
    ours, theirs = (set(re.findall(r"\w+", name.casefold())) - {"the"} for name in (left, right))
    return ours <= theirs or theirs <= ours


def are_different_labels(left: str, right: str) -> bool:
    """Whether both are a point with its letter, and the letters differ, or both a Roman numeral or a derivative."""
    if left == right:
        return False
    if _ROMAN.fullmatch(left) and _ROMAN.fullmatch(right):
        return True  # the letters are no factors
    one, other = _POINT.match(left), _POINT.match(right)
    return one is not None and other is not None and one[1] != other[1]


def root_of(names: list[str]) -> str:
    """The x of x_1, x_2, which have no order against values without names; "" for other names."""
    letters = [root[1] for root in map(_ROOTS.fullmatch, names) if root]
    return letters[0] if len(letters) == len(names) and len(set(letters)) == 1 else ""
