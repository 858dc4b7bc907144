"""Dates and clock times of the answer checker: "March 5, 2020" is 2020-03-05, "3:45 PM" is 15:45.

A time without AM or PM may be either half of the day; a date of numbers alone is month/day/year unless only
day/month/year makes sense. Durations ("2 h 30 min") are no moments, see `reading.py`.
"""

import re
from dataclasses import dataclass

_MONTHS = {
    name[:size]: number
    for number, name in enumerate(
        str.split("january february march april may june july august september october november december"), 1
    )
    for size in {3, 4, len(name)}
}  # fmt: skip
_DAYS = {
    name[:size]: name
    for name in str.split("monday tuesday wednesday thursday friday saturday sunday")
    for size in {3, 4, len(name)}
}
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_DATES = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?",
        rf"{_MONTH},?\s+(?:of\s+)?{_YEAR}",
        rf"{_YEAR}\s+{_MONTH}(?:\s+{_DAY})?",
        rf"{_YEAR}[-/.](?P<month>\d{{1,2}})[-/.]{_DAY}",
        rf"{_YEAR}\s*年\s*(?P<month>\d{{1,2}})\s*月\s*(?:{_DAY}\s*日)?",
        _MONTH,
    )
]
_NUMBERS_DATE = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_TIME = re.compile(
    r"(?:at\s+)?(?P<hour>\d{1,2})(?:\s*:\s*(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
    r"\s*(?:(?P<half>[ap])\.?\s*m\b\.?|(?P<clock>o'?\s?clock)(?:\s+(?P<late>[ap])\.?m\b\.?)?|(?P<hours>h(?:ou)?rs))?",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    r"(?:(half)|(?:a\s+)?(quarter)|(\d{1,2})(?:\s+minutes?|(?=\s+past)))\s+(past|after|to|before)\s+(\d{1,2})"
    r"(?:\s*([ap])\.?m\b\.?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A date, a weekday or a clock time; parts that are not said are None.

    Example:
        read_moment("Mar 5, 2020")  # Moment(date=(2020, 3, 5))
    """

    date: tuple[int | None, int | None, int | None] | None = None
    """(year, month, day)"""
    weekday: str | None = None
    time: tuple[int, int, int] | None = None
    """(hour, minute, second)"""
    is_half_known: bool = True
    """Whether the time says which half of the day."""


def read_moment(text: str) -> Moment | None:
    """The moment that `text` names, or None; a bare "3:45" may be a ratio and is left to `clock_time`."""
    if not 3 <= len(text) <= 40:
        return None
    lowered = text.lower()
    if day := _DAYS.get(lowered.rstrip(".")):
        return Moment(weekday=day)
    weekday, comma, rest = lowered.partition(",")
    if comma and weekday in _DAYS:
        lowered = rest.strip()
    return _date(lowered) or _time(lowered)


def is_same_moment(one: Moment, other: Moment) -> bool:
    """Equal in all parts; without AM or PM on one side the half of the day is free for 12-hour times."""
    if (one.date, one.weekday) != (other.date, other.weekday):
        return False
    if one.time is None or other.time is None or one.time == other.time:
        return one.time == other.time
    if one.is_half_known and other.is_half_known:
        return False
    known, unknown = (one, other) if one.is_half_known else (other, one)
    if known.time is None or unknown.time is None or not known.is_half_known:
        return False
    hour, unknown_hour = known.time[0], unknown.time[0]
    return unknown_hour <= 12 and (hour % 12, *known.time[1:]) == (
        unknown_hour % 12,
        *unknown.time[1:],
    )


def _date(text: str) -> Moment | None:
    if numbers := _NUMBERS_DATE.fullmatch(text):
        return _date_in_numbers(*map(int, numbers.groups()))
    for form in _DATES:
        match = form.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        name = parts["month"]
        month = int(name) if name.isdigit() else _MONTHS.get(name, 0)
        day, year = int(parts.get("day") or 0), int(parts.get("year") or 0)
        if 1 <= month <= 12 and day <= 31:
            return Moment(date=(year or None, month, day or None))
    return None


def _date_in_numbers(first: int, second: int, year: int) -> Moment | None:
    month, day = (first, second) if first <= 12 else (second, first)
    return Moment(date=(year, month, day)) if month <= 12 and day <= 31 else None


def _time(text: str) -> Moment | None:
    if text in ("noon", "midnight"):
        return Moment(time=(12 if text == "noon" else 0, 0, 0))
    if spoken := _SPOKEN.fullmatch(text):
        return _spoken_time(*spoken.groups())
    match = _TIME.fullmatch(text)
    if match is None or not (match["half"] or match["clock"] or match["hours"]):
        return None
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    return _moment_at(hour, minute, second, match["half"] or match["late"], bool(match["hours"]))


def clock_time(parts: tuple[str, ...]) -> Moment | None:
    """The time of a bare "3:45" or "15:45:10", split at its colons; None for what is no time."""
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"\d{1,2}", part) for part in parts):
        return None
    hour, minute, second = (*map(int, parts), 0)[:3]
    return _moment_at(hour, minute, second, None, False)


def _spoken_time(
    half: str | None,
    quarter: str | None,
    minutes: str | None,
    direction: str,
    hour: str,
    day_half: str | None,
) -> Moment | None:
    offset = 30 if half else 15 if quarter else int(minutes or 0)
    total = int(hour) * 60 + (offset if direction in ("past", "after") else -offset)
    return _moment_at(total // 60 % 24, total % 60, 0, day_half, False)


def _moment_at(
    hour: int, minute: int, second: int, half: str | None, is_24_hours: bool
) -> Moment | None:
    if hour > 24 or minute > 59 or second > 59 or (half and not 1 <= hour <= 12):
        return None
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    is_known = bool(half) or is_24_hours or hour > 12 or hour == 0
    return Moment(time=(hour, minute, second), is_half_known=is_known)
