"""Rows of parquet files and of data sets of `datasets`, in plain Python, pictures as they are stored."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vr1_ray.data.json_cells import UnreadableRow, WrittenFloat, json_value
from vr1_ray.data.refusals import DataError
from vr1_ray.data.stored import arrow_rows


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file, each cell in the type of its column. Raises DataError for a column that stands twice."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path} has the column {', '.join(twice)} twice; rename one")
    for batch in file.iter_batches(batch_size=64):
        yield from _arrow_rows(batch)


def dataset_rows(dataset: Any) -> Iterator[Any]:
    """Rows of a data set of `datasets`, streamed or not. The Arrow format hands pictures over as they are stored."""
    for batch in dataset.with_format("arrow").iter(batch_size=64):
        yield from _arrow_rows(batch)


def arrow_files(dataset: Any) -> list[tuple[str, int]]:
    """The files that hold a data set, in order, and the rows of each; [] where rows are not theirs, one after the other."""
    if dataset._indices is not None:  # shuffled, or a part
        return []
    try:
        files = [(file["filename"], arrow_rows(file["filename"])) for file in dataset.cache_files]
    except (OSError, ValueError, KeyError):
        return []
    return files if sum(rows for _, rows in files) == len(dataset) else []


def _arrow_rows(batch: Any) -> Iterator[Any]:
    """Rows in plain Python. A float of 32 bits keeps its own digits, and JSON text becomes its values, also in lists
    and structs."""
    changed = {field.name: change for field in batch.schema if (change := _change(field.type))}
    for row in batch.to_pylist():
        try:
            yield row | {name: change(row[name]) for name, change in changed.items()}
        except ValueError as error:
            yield UnreadableRow(f"{', '.join(changed)}: {error}; mend the cell")


def _change(kind: Any) -> Callable[[Any], Any] | None:
    """What is to be done with cells of this type; None for nothing."""
    change = _change_of_value(kind)
    if change is None:
        return None
    return lambda cell: None if cell is None else change(cell)


def _change_of_value(kind: Any) -> Callable[[Any], Any] | None:
    import pyarrow.types as types

    if str(kind) == "extension<arrow.json>":  # how `datasets` keeps a JSON column of mixed types
        return json_value
    if str(kind) in ("float", "halffloat"):
        import numpy as np

        narrow = np.float32 if str(kind) == "float" else np.float16
        return lambda value: _narrow_float(value, str(narrow(value)))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = _change(kind.value_type)
        if item is not None:
            return lambda cells: [item(cell) for cell in cells]
    if types.is_struct(kind):
        inner = {field.name: change for field in kind if (change := _change(field.type))}
        if inner:
            return lambda cells: (
                cells | {name: change(cells[name]) for name, change in inner.items()}
            )
    return None


def _narrow_float(value: float, text: str) -> float:
    if not math.isfinite(value):
        return value  # has no digits
    number = WrittenFloat(value)
    number.written = text
    return number
