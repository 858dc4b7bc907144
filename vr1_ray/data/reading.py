"""Reading a whole source: its rows in order, what can't be used refused or skipped, one line a thing worth telling."""

import logging
from itertools import islice
from pathlib import Path

from vr1_ray.config import DataConfig
from vr1_ray.data.images import ImageReader
from vr1_ray.data.refusals import BadRows, DataError, RowProblems, shortened
from vr1_ray.data.rows import WARNINGS, Kind, ReadRow, RowReader
from vr1_ray.data.tables import Table

log = logging.getLogger(__name__)


def read_table(
    table: Table,
    config: DataConfig,
    kind: Kind,
    field: str,
    max_rows: int | None = None,
    *,
    max_images: int | None = None,
) -> list[ReadRow]:
    """All rows of a source, in order; what can't be used is refused, or skipped as `data.bad_rows` says."""
    root = Path(config.image_root).expanduser() if config.image_root else table.root
    images = ImageReader(root, config.max_image_pixels)
    reader = RowReader(config, kind, images, pictures=table.pictures, max_images=max_images)
    problems = RowProblems(field, table.source, BadRows.of(config))
    found: list[ReadRow] = []
    num_rows = 0
    for place, row in islice(table.rows, max_rows):
        num_rows += 1
        try:
            found.append(reader.read(row))
        except DataError as error:
            problems.add(place, str(error))
    problems.raise_if_any(num_rows)
    if not found and num_rows:
        raise DataError(
            f"{field}: all {num_rows} rows of {table.source} were skipped (data.bad_rows=skip), the first for "
            f"{problems.problems[0][1]}; mend them"
        )
    if not found:
        raise DataError(f"{field}: {table.source} has no rows; give a file or split that has")
    _say(reader, table, field)
    return found


def _say(reader: RowReader, table: Table, field: str) -> None:
    """One line of the log for each thing that is worth one."""
    if table.kind:
        log.info("%s: %s: read as %s", field, table.source, table.kind)
    for note, count in reader.notes.items():
        if count:
            level = logging.WARNING if note in WARNINGS else logging.INFO
            log.log(level, "%s: %s: %d %s", field, table.source, count, note)
    for note, values in reader.listed.items():
        shown = ", ".join(shortened(value, 40) for value in values[:5])
        log.warning("%s: %s: %d %s%s", field, table.source, len(values), note, shown)
