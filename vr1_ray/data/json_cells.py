"""JSON files as rows whose every cell keeps its JSON value and spelling.

Nothing is unified over a column: `"é"` beside `7` stays a text, `3` beside `2.5` stays an integer, and a number is
written into a text (`written`) as the file spells it: `1e20`, `2.50`, `100000000000000000000`. A cell that has no
one value (a key that stands twice, half of a sign, an integer without end) makes its row an `UnreadableRow`.

    .jsonl or .json of one object a line, or a .json of one list; by content, not by name.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # what JSON skips between values
from pathlib import Path
from typing import Any

from vr1_ray.data.refusals import DataError, shortened

MAX_DEPTH = 100  # what goes through rows calls itself at each level
_BRACKET_OR_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_DEEP = f"lists and objects stand over {MAX_DEPTH} deep in one another; write that cell as a text"


class WrittenFloat(float):
    """A float, and how the file spells it."""

    written: str


class WrittenInt(int):
    """An integer, and how the file spells it where Python spells it otherwise (`-0`)."""

    written: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell without one value, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that can't be read, and why."""

    reason: str


def written(number: int | float) -> str:
    """A number as its file spells it, else as Python does."""
    return getattr(number, "written", None) or repr(number)


def json_rows(path: Path) -> Iterator[Any]:
    """The rows of a JSON file as they stand: objects, or whatever a line holds, or UnreadableRow. Raises DataError.

    A row of a file of lines that is no JSON spoils no other row; a broken list ends the file.
    """
    content = path.read_bytes()
    start = content[:4]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\0" in start and start.strip(b"\0")):
        raise DataError(f"{path} is UTF-16 or UTF-32 text; save it as UTF-8")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.lstrip()[:1] == b"[" and not _is_lines(content):
        yield from _list_rows(path, _decoded(path, content))
    else:
        yield from _line_rows(path, content)


def json_value(text: str) -> Any:
    """One JSON value, its cells as in `json_rows`. Raises ValueError; DataError for JSON without one value."""
    try:
        value = _checked(text, _DECODER.decode(text))
    except RecursionError as error:
        raise DataError(_DEEP) from error
    if isinstance(value, UnreadableRow):
        raise DataError(value.reason)
    return value


def is_json(value: Any) -> bool:
    """Whether JSON can hold it."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return True
    if isinstance(value, list):
        return all(is_json(item) for item in value)
    return isinstance(value, dict) and all(
        isinstance(key, str) and is_json(item) for key, item in value.items()
    )


def plain(value: Any) -> Any:
    """The value in Python's own types: numbers without their spelling."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (bool, str) or value is None:
        return value
    return (
        float(value)
        if isinstance(value, float)
        else int(value)
        if isinstance(value, int)
        else value
    )


def _is_lines(content: bytes) -> bool:
    """Whether the first line is a whole list of its own, with another value after it: then it is no row, but a line."""
    first, _, rest = content.lstrip().partition(b"\n")
    if not first.rstrip().endswith(b"]") or not rest.strip():
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} can't be read as JSON ({error}); save it as UTF-8") from error


def _line_rows(path: Path, content: bytes) -> Iterator[Any]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode()
            yield _checked(text, _DECODER.decode(text.strip()))
        except (ValueError, RecursionError) as error:
            if number == 1 and _is_one_value(content):
                raise DataError(
                    f"{path} holds one object over several lines; give one object a line, or a list of rows"
                ) from error
            if isinstance(error, RecursionError):
                yield UnreadableRow(f"line {number}: {_DEEP}")
                continue
            yield UnreadableRow(
                f"line {number} is no JSON ({error}); check that the file is whole, one object a line"
            )


def _is_one_value(content: bytes) -> bool:
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return False
    return b"\n" in content.strip()


def _list_rows(path: Path, text: str) -> Iterator[Any]:
    """The items of one list, one after the other, so that the objects of a large file are never all in memory."""
    place = _skip(text, text.index("[") + 1)
    if text[place : place + 1] == "]":
        return
    while True:
        try:
            value, end = _DECODER.raw_decode(text, place)
            value = _checked(text[place:end], value)
        except ValueError as error:
            raise _broken(path, error) from error
        except RecursionError as error:
            value, end = UnreadableRow(_DEEP), _end_of_value(text, place)
            if not end:
                raise _broken(path, "brackets that are not closed") from error
        yield value
        place = _skip(text, end)
        sign = text[place : place + 1]
        place = _skip(text, place + 1)
        if sign == "]" and place == len(text):
            return
        if sign != ",":
            found = (
                "more text after the list"
                if sign == "]"
                else f"no comma at {text.count(chr(10), 0, end) + 1}"
            )
            raise _broken(path, found)


def _end_of_value(text: str, place: int) -> int:
    """Where a list or object ends that is too deep for Python's reader; 0 if it does not."""
    depth = 0
    for found in _BRACKET_OR_TEXT.finditer(text, place):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return 0


def _broken(path: Path, error: Any) -> DataError:
    return DataError(f"{path} can't be read as JSON ({error}); check that it is whole")


def _skip(text: str, place: int) -> int:
    return WHITESPACE.match(text, place).end()


def _checked(text: str, value: Any) -> Any:
    """The value, or an UnreadableRow naming its first column without one value."""
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value, MAX_DEPTH):
        return UnreadableRow(_DEEP)
    if "\\u" in text and ("\\ud" in text or "\\uD" in text):
        value = _without_half_signs(value)
    if isinstance(value, Unreadable):
        return UnreadableRow(value.reason)
    if isinstance(value, dict):
        for column, cell in value.items():
            found = _unreadable(cell)
            if found is not None:
                return UnreadableRow(f"{shortened(column)[1:-1]}: {found.reason}")
    return value


def _unreadable(value: Any) -> Unreadable | None:
    if isinstance(value, Unreadable):
        return value
    return next((found for item in _inner(value) if (found := _unreadable(item)) is not None), None)


def _is_deep(value: Any, levels: int) -> bool:
    """Whether more than `levels` lists or objects stand in one another; it looks no deeper."""
    is_nested = isinstance(value, dict | list)
    return is_nested and (levels == 0 or any(_is_deep(item, levels - 1) for item in _inner(value)))


def _inner(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _without_half_signs(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            part = value[max(0, error.start - 20) : error.start + 1]
            return Unreadable(
                f"half of a sign (a lone surrogate) at {part!r}, which is no text; mend the escape"
            )
    if isinstance(value, dict):
        bad = next((key for key in value if isinstance(_without_half_signs(key), Unreadable)), None)
        if bad is not None:
            return Unreadable(f"key {bad!r} has half of a sign (a lone surrogate); mend it")
        return {key: _without_half_signs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_half_signs(item) for item in value]
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            # by its spelling: 1, 1.0 and true are equal
            if repr(found[key]) != repr(value) and not isinstance(found[key], Unreadable):
                found[key] = Unreadable(
                    f"stands twice in one row, as {shortened(value)} and as {shortened(found[key])}; leave one"
                )
    return found


def _float(text: str) -> float:
    number = float(text)
    if repr(number) == text:
        return number
    spelled = WrittenFloat(number)
    spelled.written = text
    return spelled


def _int(text: str) -> int | Unreadable:
    try:
        number = int(text)
    except ValueError:  # over the limit that Python sets
        return Unreadable(f"{text[:20]}... is an integer of {len(text)} digits; write it as a text")
    if number == 0 and text != "0":
        number = WrittenInt(number)
        number.written = text
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_int=_int)
