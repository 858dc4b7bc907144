"""Rows of a CSV file, every cell a text."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.data.json_cells import UnreadableRow
from vr1_ray.data.refusals import DataError, shortened


def csv_rows(path: Path) -> Iterator[Any]:
    """The rows, or an UnreadableRow for one of more cells than columns. Raises DataError for a column that stands twice."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
        if twice:
            raise DataError(f"{path} has the column {', '.join(twice)} twice; rename one")
        for row in reader:
            more = row.pop(None, None)  # cells without a column
            if more is not None:
                yield UnreadableRow(
                    f"has more cells than columns ({shortened(more)}); put a cell with commas into quotes"
                )
            else:
                yield row
