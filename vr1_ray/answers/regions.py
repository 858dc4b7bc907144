"""Parts of the number line in answers: "x < 1 or x > 3", "(-inf,1) ∪ (3,inf)", "|x - 1| < 2", "x ≠ 2".

A region is what its variable may be: disjoint intervals in order. Overlapping and touching ones are joined, "and" is
both, "or" and ∪ are either. Two regions of different variables are different; a missing variable is fine.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache

from vr1_ray.answers.phrases import phrase_of
from vr1_ray.answers.reading import Relation, read_relation, split_top
from vr1_ray.answers.relation import as_interval, interval_variable
from vr1_ray.answers.tokens import NotAnExpressionError
from vr1_ray.answers.value import COMPARISON, Value, evaluate, is_same, rounds_to

_MAX_PARTS = 12
_VARIABLE = re.compile(
    r"(?P<name>[A-Za-zα-ω](?:_\w)?|[a-z]\([a-z]\))\s*(?:∈|\bin\b)\s*(?P<rest>.+)"
)
_BUILDER = re.compile(r"\{\s*[A-Za-z]\s*(?:\||:)\s*(?P<rest>[^{}]+)\}")
_ALL_BUT = re.compile(r"reals\s*(?:∖|-)\s*\{(?P<points>[^{}]{1,80})\}")
_UNION = re.compile(r"\s*(?:∪|(?<=[\])}])\s*U\s*(?=[\[({])|\bor\b)\s*")
_BOTH = re.compile(r"\s*\band\b\s*")
_ABSOLUTE = re.compile(r"\|\s*([A-Za-z])\s*(?:([-+])\s*([\d./]{1,12})\s*)?\|")
_BRACKETED = re.compile(r"[(\[][^()\[\]{},;]{1,60}[,;][^()\[\]{},;]{1,60}[)\]]")
_FINITE = re.compile(r"\{([^{}]{1,200})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `low` to `high`, each with or without its end."""

    low: Value
    high: Value
    has_low: bool
    has_high: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What a variable may be; `is_certain` is False for a lone bracket, which may be a point or a list."""

    variable: str
    intervals: tuple[Interval, ...]
    is_certain: bool = True


def are_same_regions(left: str, right: str) -> bool | None:
    """Whether two plain texts are the same part of the number line; None if that is not what they are."""
    one, other = region_of(left), region_of(right)
    if one is None or other is None or not (one.is_certain or other.is_certain):
        return None
    if one.variable and other.variable and one.variable != other.variable:
        return False
    return len(one.intervals) == len(other.intervals) and all(
        (mine.has_low, mine.has_high) == (theirs.has_low, theirs.has_high)
        and _is_same_end(mine.low, theirs.low)
        and _is_same_end(mine.high, theirs.high)
        for mine, theirs in zip(one.intervals, other.intervals, strict=True)
    )


@lru_cache(maxsize=4096)
def region_of(text: str) -> Region | None:
    """The region that a plain text is; None for anything else. Never raises."""
    if not re.search(r"[<>≤≥≠∪{\[(]|!=|\bin\b|∈|real", text) or len(text) > 400:
        return None
    try:
        with localcontext(COMPARISON):
            return _region(text)
    except (NotAnExpressionError, ArithmeticError):
        return None


def _region(text: str) -> Region | None:
    if member := _VARIABLE.fullmatch(text):
        inner = _region(member["rest"])
        return inner and Region(variable=member["name"], intervals=inner.intervals)
    if builder := _BUILDER.fullmatch(text):
        inner = _region(builder["rest"])
        return inner and Region(variable="", intervals=inner.intervals)
    if without := _ALL_BUT.fullmatch(text):
        ends = sorted({_end(evaluate(point)) for point in re.split("[,;]", without["points"])})
        texts = ["-inf", *(f"{end:f}" for end in ends), "inf"]
        return Region(variable="", intervals=tuple(map(_interval, texts[:-1], texts[1:])))
    if phrase_of(text) == ("all", "real"):
        return Region(variable="", intervals=(_interval("-inf", "inf"),))
    parts = split_top(text, _UNION)
    if 1 < len(parts) <= _MAX_PARTS:
        is_lines = "∪" in text or "U" in text or not any(part[:1] in "([{" for part in parts)
        return _joined([_region(part) for part in parts]) if is_lines else None
    both = split_top(text, _BOTH)
    if 1 < len(both) <= _MAX_PARTS:
        if any(part[:1] in "([{" for part in both):
            return None  # two points, or two intervals that are both meant
        return _met([_region(part) for part in both])
    return _simple(text)


def _simple(text: str) -> Region | None:
    if _BRACKETED.fullmatch(text):
        low, high = re.split("[,;]", text[1:-1])
        interval = _interval(low, high, text[0] == "[", text[-1] == "]")
        return Region(variable="", intervals=(interval,), is_certain=False)
    if finite := _FINITE.fullmatch(text):
        points = [_interval(part, part, True, True) for part in re.split("[,;]", finite[1])]
        return Region(variable="", intervals=_ordered(points), is_certain=False)
    relation = read_relation(text)
    return _of_relation(relation) if relation else None


def _of_relation(relation: Relation) -> Region | None:
    sides, signs = relation.sides, relation.signs
    if absolute := _ABSOLUTE.fullmatch(sides[0]):
        return _of_absolute(absolute, sides[1], signs[0]) if len(signs) == 1 else None
    if signs == ("≠",) and re.fullmatch(r"[A-Za-zα-ω]", sides[0]):
        intervals = (_interval("-inf", sides[1]), _interval(sides[1], "inf"))
        return Region(variable=sides[0], intervals=intervals)
    items = as_interval(relation)
    if items is None:
        return None
    low, high = items.items
    interval = _interval(low, high, items.brackets[0] == "[", items.brackets[1] == "]")
    return Region(variable=interval_variable(relation), intervals=(interval,))


def _of_absolute(absolute: re.Match[str], bound: str, sign: str) -> Region | None:
    """|x - a| < c is a - c < x < a + c; with > it is what lies outside."""
    variable, operator, shift = absolute.groups()
    centre = f"-({operator}{shift})" if operator else "0"
    low, high = f"({centre})-({bound})", f"({centre})+({bound})"
    limit = evaluate(bound).constant
    if limit is None or limit <= 0:
        return None
    if sign in "<≤":
        return Region(
            variable=variable, intervals=(_interval(low, high, sign == "≤", sign == "≤"),)
        )
    if sign in ">≥":
        outside = (_interval("-inf", low, False, sign == "≥"), _interval(high, "inf", sign == "≥"))
        return Region(variable=variable, intervals=outside)
    return None


def _interval(low: str, high: str, has_low: bool = False, has_high: bool = False) -> Interval:
    """Raises NotAnExpressionError for ends that are no numbers, or in the wrong order."""
    lower, upper = evaluate(low.strip()), evaluate(high.strip())
    if _end(lower) > _end(upper) or (_end(lower) == _end(upper) and not (has_low and has_high)):
        raise NotAnExpressionError("no interval")
    return Interval(low=lower, high=upper, has_low=has_low, has_high=has_high)


def _end(value: Value) -> Decimal:
    if value.constant is None:
        raise NotAnExpressionError("no number")
    return value.constant


def _variable(regions: list[Region | None]) -> str | None:
    """The one variable of all, "" if none has one; None if a part is no region or they differ."""
    names = {region.variable for region in regions if region and region.variable}
    return None if None in regions or len(names) > 1 else "".join(names)


def _joined(regions: list[Region | None]) -> Region | None:
    variable = _variable(regions)
    if variable is None:
        return None
    intervals = [interval for region in regions if region for interval in region.intervals]
    return Region(variable=variable, intervals=_ordered(intervals))


def _ordered(intervals: list[Interval]) -> tuple[Interval, ...]:
    """Disjoint and in order."""
    joined: list[Interval] = []
    for one in sorted(intervals, key=lambda each: (_end(each.low), not each.has_low)):
        last = joined[-1] if joined else None
        touches = last is not None and (
            _end(one.low) < _end(last.high)
            or (_end(one.low) == _end(last.high) and (one.has_low or last.has_high))
        )
        if last is None or not touches:
            joined.append(one)
            continue
        higher = max((last, one), key=lambda each: (_end(each.high), each.has_high))
        joined[-1] = Interval(
            low=last.low, has_low=last.has_low, high=higher.high, has_high=higher.has_high
        )
    return tuple(joined)


def _met(regions: list[Region | None]) -> Region | None:
    """What lies in all; each is one interval."""
    variable = _variable(regions)
    intervals = [region.intervals[0] for region in regions if region and len(region.intervals) == 1]
    if variable is None or len(intervals) < len(regions):
        return None
    low = max(intervals, key=lambda each: (_end(each.low), not each.has_low))
    high = min(intervals, key=lambda each: (_end(each.high), each.has_high))
    distance = _end(high.high) - _end(low.low)
    is_empty = distance < 0 or (distance == 0 and not (low.has_low and high.has_high))
    met = Interval(low=low.low, high=high.high, has_low=low.has_low, has_high=high.has_high)
    return Region(variable=variable, intervals=() if is_empty else (met,))


def _is_same_end(mine: Value, theirs: Value) -> bool:
    return is_same(mine, theirs) or rounds_to(mine, theirs)
