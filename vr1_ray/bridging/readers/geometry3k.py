"""Rows in the schema of geometry3k and Vision-R1-rl, a .parquet file: `images`, `problem`, `answer`.

`images` is a list of `{bytes, path}` structs, `problem` has one `<image>` mark per image, and `answer` is text;
every other column goes to the row's metadata, so far as JSON can hold it.

Where this was read: the card of huggingface.co/datasets/hiyouga/geometry3k (the columns; the later ones `id`,
`choices` and `ground_truth`, a letter, are extra) and EasyR1's reader (github.com/hiyouga/EasyR1 at b44b311,
verl/utils/dataset.py). Known only from fixtures: that the mark stands first. Not confirmed: that
Osilly/Vision-R1-rl, which "uses the geometry3k formation" by its README, has these three columns in every row.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.bridging.readers.base import BadRow, SourceRow
from vr1_ray.data.refusals import DataError

_COLUMNS = ("images", "problem", "answer")


def read_geometry3k(path: Path) -> Iterator[SourceRow | BadRow]:
    """The rows of one parquet file, read in batches. Raises DataError without the three columns."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise DataError(f"bridge.sources: {path} has no column {', '.join(missing)}")
        number = 0
        for batch in file.iter_batches(batch_size=64):
            for fields in batch.to_pylist():
                try:
                    yield _row(number, fields)
                except DataError as error:
                    yield BadRow(number=number, reason=str(error))
                number += 1


def _row(number: int, fields: dict[str, Any]) -> SourceRow:
    images = [_image(value) for value in fields["images"] or []]
    others = {key: value for key, value in fields.items() if key not in _COLUMNS}
    return SourceRow(
        number=number,
        source_id=str(fields.get("id", number)),
        question=fields["problem"] or "",
        answer=str(fields["answer"] or ""),
        images=tuple(images),
        metadata={key: value for key, value in others.items() if _is_json(value)},
    )


def _image(value: Any) -> str | bytes:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if not isinstance(value, str | bytes) or not value:
        raise DataError("images: an entry is neither bytes nor a path")
    return value


def _is_json(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or (
        isinstance(value, list) and all(_is_json(item) for item in value)
    )
