"""Second stage of the answer checker: what kind of answer a plain text is.

    read(text) -> Moment | Choice | Compound | Items | Relation | Quantity | Words

Reading decides nothing about equality (`agreement.py` does) and never fails: what is nothing else is Words.
To add a kind, add its record and a row in `read`, and say in `agreement.py` when two of it are equal.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from vr1_ray.answers.choice import Choice, read_choice
from vr1_ray.answers.moment import Moment, read_moment
from vr1_ray.answers.number_base import read_based
from vr1_ray.answers.tokens import NotAnExpressionError, OverBoundsError
from vr1_ray.answers.units import parse_unit, split_unit
from vr1_ray.answers.value import Value, evaluate
from vr1_ray.answers.words import with_digits, with_fractions

MAX_ITEMS = 24
_SIGN = re.compile(r"<=|>=|=<|=>|!=|==|[=<>≤≥≠≈]")
_SPELLED_SIGN = {"<=": "≤", "=<": "≤", ">=": "≥", "!=": "≠", "==": "="}
_LIST_SEPARATOR = re.compile(
    r"\s*(?:[,;]\s*(?:and|or)\s+|[,;]|\s(?:and|or)\s|(?<=[\])}])\s*(?:U|∪)\s*(?=[\[({]))\s*"
)
_GROUP_SEPARATOR = re.compile(r"\s*;\s*|\s*,?\s+or\s+")
_UNION = re.compile(r"\s*∪\s*")
_MEMBER = re.compile(r"\A(?:[A-Za-zα-ω](?:_\w)?|[a-z]\([a-z]\))\s*(?:∈|\bin\b)\s*(?=[\[({])")
_NAMED_POINT = re.compile(r"\A(?:point\s+)?[A-Z]'?\s?(?=\([^()]*[,;][^()]*\)$)")
_NUMBERED = re.compile(
    r"\((?:1|i|a)\)\s*([^()\s][^()]*?)[,;]?\s*\((?:2|ii|b)\)\s*([^()\s][^()]*?)(?:[,;]?\s*\((?:3|iii|c)\)\s*([^()\s][^()]*?))?"
)
_RATIO_PART = re.compile(r"[\w.\s/^*(){}]{1,40}")
_TO = re.compile(r"([\d.]+)\s*to\s*([\d.]+)")
_COMPOUND_PART = re.compile(r"\s*(?:,|\band\b)?\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+\.?|'|\")")
_FACTORS = {
    "week": ("time", 604800), "day": ("time", 86400), "hour": ("time", 3600), "minute": ("time", 60), "second": ("time", 1),
    "mile": ("foot", 63360), "yard": ("foot", 36), "foot": ("foot", 12), "inch": ("foot", 1),
    "km": ("metre", 1000000), "m": ("metre", 1000), "cm": ("metre", 10), "mm": ("metre", 1),
    "pound": ("pound", 16), "ounce": ("pound", 1), "kg": ("gram", 1000), "gram": ("gram", 1),
    "dollar": ("cent", 100), "cent": ("cent", 1), "year": ("month", 12), "month": ("month", 1), "degree": ("arc", 60),
}  # fmt: skip
_ARC = re.compile(r"(\d+)\s*degrees\s*(\d+)\s*(?:'|minutes?)(?:\s*(\d+)\s*(?:\"|''|seconds?))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value with an optional unit: "12 cm^2", "3x + 1", "50 %"."""

    value: Value
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """A quantity in several units of one kind: "2 h 30 min" is 9000 of the smallest."""

    total: Decimal
    units: tuple[str, ...]
    """The units it was said in, the largest first."""
    family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Several answers: brackets is "()", "[)", "{}" ..., ":" for a ratio, "" for a list without brackets."""

    brackets: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Sides with signs between: "1 < x ≤ 3" has the signs < and ≤."""

    sides: tuple[str, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Anything else; `is_over_bounds` says it might have been an expression too large to evaluate."""

    text: str
    is_over_bounds: bool = False


Reading = Moment | Choice | Compound | Items | Relation | Quantity | Words


@lru_cache(maxsize=8192)
def read(text: str) -> Reading:
    """The kind of answer that a plain text is. Never raises."""
    has_words = re.search(r"[A-Za-z]{3}", text)
    text = with_digits(text) if has_words else text
    if special := read_moment(text) or read_choice(text):
        return special
    text = with_fractions(text) if has_words else text
    text = _ARC.sub(_arc_minutes, text)
    return read_compound(text) or read_items(text) or read_relation(text) or read_quantity(text)


def _arc_minutes(match: re.Match[str]) -> str:
    return f"({match[1]}+{match[2]}/60+{match[3] or 0}/3600) degrees"


def read_quantity(text: str) -> Quantity | Words:
    """A value with its unit, else words."""
    quantity, unit = read_based(text) or split_unit(text)
    try:
        return Quantity(value=evaluate(quantity), unit=unit)
    except OverBoundsError:
        return Words(text=text, is_over_bounds=True)
    except NotAnExpressionError:
        return Words(text=text)


def read_items(text: str) -> Items | None:
    """A tuple, interval, set, list or ratio; None for anything else."""
    text = _MEMBER.sub("", _NAMED_POINT.sub("", text, count=1), count=1).strip()
    if not text:
        return None
    if numbered := _read_numbered(text):
        return numbered
    if "±" in text or "∓" in text:
        return _read_plus_minus(text)
    if text[0] in "([{<" and text[-1] in ")]}>" and _closes_at_end(text):
        parts = split_top(text[1:-1], re.compile(r"\s*[,;]\s*"))
        if len(parts) > 1 or text[0] == "{":
            brackets = "()" if text[0] == "<" else text[0] + text[-1]
            return Items(brackets=brackets, items=tuple(parts))
    if groups := _read_groups(text):
        return groups
    parts = split_top(text, _LIST_SEPARATOR)
    if 1 < len(parts) <= MAX_ITEMS and all(parts) and max(map(len, parts)) <= 80:
        return Items(brackets="", items=_merged(tuple(parts)) if "∪" in text else tuple(parts))
    parts = split_top(text, _UNION)
    if 1 < len(parts) <= MAX_ITEMS and all(parts) and not _SIGN.search(text):
        return Items(brackets="∪", items=tuple(parts))
    return _read_ratio(text)


def _read_numbered(text: str) -> Items | None:
    """ "(1) 5 (2) 6" is two answers in their order, no product."""
    numbered = _NUMBERED.fullmatch(text)
    if numbered is None:
        return None
    return Items(brackets="()", items=tuple(filter(None, numbered.groups())))


def _read_groups(text: str) -> Items | None:
    """ "x=1, y=2 or x=3, y=4" is two answers of two values each."""
    groups = split_top(text, _GROUP_SEPARATOR)
    is_grouped = 1 < len(groups) <= MAX_ITEMS and all(group.count("=") > 1 for group in groups)
    are_lists = is_grouped and all(len(split_top(group, _LIST_SEPARATOR)) > 1 for group in groups)
    return Items(brackets="", items=tuple(groups)) if are_lists else None


def _merged(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The members of all, where every part is a finite set."""
    if not all(part[0] == "{" and part[-1] == "}" for part in parts):
        return parts
    members = [split_top(part[1:-1], re.compile(r"\s*[,;]\s*")) for part in parts]
    return tuple(dict.fromkeys(member for some in members for member in some))


def _read_plus_minus(text: str) -> Items:
    """ "1 ± √2" is two answers; in a list or set each of its items is."""
    swapped = str.maketrans("±∓", "+-"), str.maketrans("±∓", "-+")
    is_set = text[0] == "{" and text[-1] == "}" and _closes_at_end(text)
    parts = split_top(text[1:-1] if is_set else text, _LIST_SEPARATOR)
    if "∓" in text or len(parts) > MAX_ITEMS // 2 or not all(parts):
        parts = [text]
    both = [part.translate(table) for part in parts for table in swapped]
    return Items(
        brackets="{}" if is_set and len(parts) > 1 else "", items=tuple(dict.fromkeys(both))
    )


def _read_ratio(text: str) -> Items | None:
    if spoken := _TO.fullmatch(text):
        return Items(brackets=":", items=spoken.groups())
    parts = [part.strip() for part in text.split(":")]
    if not 1 < len(parts) < 6 or not all(_RATIO_PART.fullmatch(part) for part in parts):
        return None
    is_ratio = all(isinstance(read_quantity(part), Quantity) for part in parts)
    return Items(brackets=":", items=tuple(parts)) if is_ratio else None


def read_relation(text: str) -> Relation | None:
    """An equation, inequality or chain of them; None for anything else."""
    if not _SIGN.search(text):
        return None
    found = [sign for sign in _SIGN.finditer(text) if not _is_inside(text, sign.start())]
    signs = [_SPELLED_SIGN.get(sign[0], sign[0]) for sign in found]
    begins, ends = (
        [0, *(sign.end() for sign in found)],
        [*(sign.start() for sign in found), len(text)],
    )
    sides = [text[begin:end].strip() for begin, end in zip(begins, ends, strict=True)]
    if not 0 < len(signs) < 9 or not all(sides) or "=>" in signs:
        return None
    absolute = re.fullmatch(r"\|\s*([a-z])\s*\|", sides[0])
    if absolute and len(signs) == 1 and signs[0] in "<≤":
        return Relation(sides=(f"-({sides[1]})", absolute[1], sides[1]), signs=(signs[0], signs[0]))
    return Relation(sides=tuple(sides), signs=tuple(signs))


def _is_inside(text: str, position: int) -> bool:
    """Whether braces are open there: the = of "sum _{k=1}^n" is no sign between sides."""
    return text.count("{", 0, position) > text.count("}", 0, position)


def read_compound(text: str) -> Compound | None:
    """ "2 h 30 min", "5' 6\"", "1 m 20 cm"; None for anything else."""
    position = 0
    parts: list[tuple[Decimal, str]] = []
    while (
        position < len(text) and len(parts) < 4 and (part := _COMPOUND_PART.match(text, position))
    ):
        name = {"'": "foot", '"': "inch"}.get(part[2]) or parse_unit(part[2]) or ""
        parts.append((Decimal(part[1]), name))
        position = part.end()
    if len(parts) < 2 or position < len(text) or any(name not in _FACTORS for _, name in parts):
        return None
    factors = [_FACTORS[name][1] for _, name in parts]
    if len({_FACTORS[name][0] for _, name in parts}) > 1 or factors != sorted(
        set(factors), reverse=True
    ):
        return None
    return Compound(
        total=sum((number * _FACTORS[name][1] for number, name in parts), Decimal(0)),
        units=tuple(name for _, name in parts),
        family=_FACTORS[parts[0][1]][0],
    )


def factor_of(unit: str) -> int:
    """How many of the smallest unit of its family a unit of a Compound is."""
    return _FACTORS[unit][1]


def factors_of(unit: str, other: str) -> tuple[Decimal, Decimal] | None:
    """How many of the smallest unit of their family two units are; None if nothing is known of them."""
    if unit not in _FACTORS or other not in _FACTORS or _FACTORS[unit][0] != _FACTORS[other][0]:
        return None
    return Decimal(_FACTORS[unit][1]), Decimal(_FACTORS[other][1])


def split_top(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of `text` between separators outside all brackets."""
    if not separator.search(text):
        return [text.strip()]
    depths, depth = [], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        depths.append(depth)
    parts, begin = [], 0
    for match in separator.finditer(text):
        if match.end() > match.start() and depths[match.start()] == 0 == depths[match.end() - 1]:
            parts.append(text[begin : match.start()].strip())
            begin = match.end()
    return [*parts, text[begin:].strip()]


def _closes_at_end(text: str) -> bool:
    """Whether the first bracket closes at the last sign: not so in "(1,2) and (3,4)"."""
    if text[0] == "<":
        return text[-1] == ">" and "," in text
    depth = 0
    for position, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False
