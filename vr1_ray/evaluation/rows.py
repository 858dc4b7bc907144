"""One row of a benchmark, whatever file it came from: text, lists and images by column name, checked.

Published forms disagree on types: a list may be a list (parquet), or the text of one (VLMEvalKit's TSV); an image
may be a struct of bytes and path, a path, or base64. Readers ask for what they mean and get it, or a DataError.
"""

import ast
import base64
import binascii
import json
import math
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from vr1_ray.data.images import ImageReader
from vr1_ray.data.refusals import DataError, shortened
from vr1_ray.types import EncodedImage


class Row:
    """Columns of one row, and where it stands.

    Example:
        row.text("answer", "ground_truth")     # the first of these columns that has a value
        row.images("decoded_image", "image")
    """

    def __init__(
        self, columns: Mapping[str, Any], images: ImageReader, *, table: str, number: int
    ) -> None:
        self.columns, self.reader, self.table, self.number = columns, images, table, number

    @property
    def place(self) -> str:
        """FILE:NUMBER, counted from 0."""
        return f"{self.table}:{self.number}"

    def has(self, name: str) -> bool:
        """Whether the column is there and not empty."""
        return not is_empty(self.columns.get(name))

    def get(self, *names: str) -> Any:
        """The first of these columns that has a value; None if none has."""
        return next((self.columns[name] for name in names if self.has(name)), None)

    def text(self, *names: str, default: str | None = None) -> str:
        """A column as text, spaces at its ends removed. Raises DataError if none of `names` has a value."""
        value = self.get(*names)
        if value is None and default is None:
            known = ", ".join(sorted(self.columns))
            raise DataError(
                f"{' or '.join(names)}: empty or not there (columns: {known}); is this file of the named benchmark?"
            )
        return default or "" if value is None else str(value).strip()

    def items(self, *names: str) -> tuple[str, ...]:
        """A list column, also if a TSV holds it as text; () if empty. Raises DataError for other text."""
        value = self.get(*names)
        if value is None:
            return ()
        if isinstance(value, str):
            value = literal(value, names[0])
        if isinstance(value, Mapping):  # {"A": "one", "B": "two"}
            if "".join(map(str, value)) != ascii_uppercase[: len(value)]:
                raise DataError(
                    f"{names[0]}: {shortened(dict(value))} has other keys than A, B, ...; write it as a list"
                )
            value = list(value.values())
        found = value if isinstance(value, list | tuple) else [value]
        return tuple(str(item) for item in found)

    def struct(self, name: str) -> dict[str, Any]:
        """A struct column, also if a TSV holds it as text; {} if empty. Raises DataError for other text."""
        value = self.get(name)
        if isinstance(value, str):
            value = literal(value, name)
        return dict(value) if isinstance(value, Mapping) else {}

    def images(self, *names: str) -> tuple[EncodedImage, ...]:
        """The images of the first of these columns that has one; () if none has. Raises DataError."""
        for name in names:
            if not self.has(name):
                continue
            value = self.columns[name]
            cells = value if isinstance(value, list) else [value]
            try:
                return tuple(
                    self.reader.read(_image_cell(cell), name, index)
                    for index, cell in enumerate(cells)
                )
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
        return ()


def is_empty(value: Any) -> bool:
    """None, an empty text or list, and the NaN that pandas writes for an empty cell."""
    return value is None or value in ("", []) or (isinstance(value, float) and math.isnan(value))


def literal(text: str, name: str) -> Any:
    """A list or mapping written as JSON or as Python; plain text stays a text. Never runs code."""
    text = text.strip()
    if not text or text[0] not in "[{":
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # written the other way; neither is the error below
    raise DataError(f"{name}: {text!r:.80} starts like a list but is none; mend the cell")


def _image_cell(cell: Any) -> Any:
    """A cell that the image reader takes: base64 decoded, a path or a struct as it is."""
    if not isinstance(cell, str) or len(cell) <= MAX_REFERENCE:
        return cell
    try:
        return base64.b64decode(cell, validate=True)
    except binascii.Error:
        return cell  # a long path


MAX_REFERENCE = 64  # a longer text in an image column is base64 (VLMEvalKit's rule)
