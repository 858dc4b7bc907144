"""What a reader of source data is: a function from a file to rows, good and bad ones.

To add one, write one file with a function and a row in `readers/__init__.py`, or keep it outside the package
and name it in the YAML as `package.module:Name`:

    def read_my_data(path: Path) -> Iterator[SourceRow | BadRow]:
        for number, line in enumerate(path.open(encoding="utf-8")):
            fields = json.loads(line)
            yield SourceRow(number=number, source_id=fields["id"], question=fields["q"],
                            answer=fields["a"], images=(fields["picture"],))

A reader streams: it never holds the whole file. It raises DataError only for what ends the file; a row that
can't be used is a BadRow, which is listed and stops nothing.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vr1_ray.data.refusals import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """One question of a source, before anything was asked.

    Example:
        SourceRow(number=0, source_id="7", question="How many?", answer="3", images=("a/1.png",))
    """

    number: int  # in its file, from 0
    source_id: str
    question: str  # with one `<image>` mark per image, or with none
    answer: str
    images: tuple[str | bytes, ...]  # paths below the image root, or files as bytes
    pseudo_cot: str = ""  # caption and reasoning, if the source has them
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that can't be used, and why."""

    number: int
    reason: str


Reader = Callable[[Path], Iterator[SourceRow | BadRow]]


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """The objects of a JSONL file with their numbers; a line that is none is a BadRow."""
    with path.open(encoding="utf-8", errors="replace") as file:
        number = -1
        for line in file:
            if not line.strip():
                continue
            number += 1
            try:
                fields = json.loads(line)
            except ValueError as error:
                yield number, BadRow(number=number, reason=f"no JSON: {error}")
                continue
            if isinstance(fields, dict):
                yield number, fields
            else:
                yield number, BadRow(number=number, reason="the line is no JSON object")


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """The objects of a .jsonl file or of a .json array, streamed. Raises DataError if an array breaks off."""
    if path.suffix == ".jsonl":
        yield from json_lines(path)
        return
    import ijson

    with path.open("rb") as file:
        try:
            for number, fields in enumerate(ijson.items(file, "item", use_float=True)):
                is_row = isinstance(fields, dict)
                yield (
                    number,
                    fields if is_row else BadRow(number=number, reason="no JSON object"),
                )
        except ijson.JSONError as error:
            raise DataError(
                f"bridge.sources: {path} is no whole JSON array ({error}); fetch it again"
            ) from error


def turns_of(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """(role, text) of a sharegpt row, roles as they stand there. Raises DataError."""
    turns = fields.get("conversations") or fields.get("messages")
    if not isinstance(turns, list) or not turns:
        raise DataError("conversations: missing")
    found = []
    for turn in turns:
        role = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        text = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        if not isinstance(role, str) or not isinstance(text, str):
            raise DataError(f"conversations: {turn!r:.60} is no turn")
        found.append((role, text))
    return found


def first_pair(fields: dict[str, Any]) -> tuple[str, str]:
    """The first question and its response; a system turn before them is left out. Raises DataError."""
    turns = [(role, text) for role, text in turns_of(fields) if role != "system"]
    roles = [role for role, _ in turns[:2]]
    if len(roles) < 2 or roles[0] not in ("human", "user") or roles[1] not in ("gpt", "assistant"):
        raise DataError(f"conversations: begins with {', '.join(roles) or 'nothing'}")
    return turns[0][1], turns[1][1]


def image_paths(value: Any) -> tuple[str, ...]:
    """The image column, a path or a list of them. Raises DataError."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item for item in values) or not values:
        raise DataError(f"image: {value!r:.60} is no path")
    return tuple(values)


def converted(
    path: Path, convert: Callable[[int, dict[str, Any]], SourceRow]
) -> Iterator[SourceRow | BadRow]:
    """The rows of a JSON file as `convert` makes them; one it raises DataError for is a BadRow with the reason."""
    for number, fields in json_rows(path):
        if isinstance(fields, BadRow):
            yield fields
            continue
        try:
            yield convert(number, fields)
        except DataError as error:
            yield BadRow(number=number, reason=str(error))
