"""Where a picture's bytes stand when a row does not hold them: a file of its own, or a cell of a parquet or arrow file.

Both are read where the picture is used; `EncodedImage.data` compares what comes with what was checked.
"""

import os
import secrets
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vr1_ray.data.picture_cells import PictureCells
from vr1_ray.data.refusals import DataError
from vr1_ray.types import EncodedImage

KEPT_BYTES = 32 << 20  # a column of a row group up to this size is kept for the next cell
MAX_SAMPLE = 256  # files that a node is asked for
ARROW = ".arrow"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A picture that is a file.

    Example:
        StoredFile(path="/data/pictures/3.png", where="data.train: train.jsonl, row 3")
    """

    path: str  # absolute
    where: str

    def read(self) -> bytes:
        try:
            return Path(self.path).read_bytes()
        except OSError as error:
            raise _gone(self.where, self.path, error) from error

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCell:
    """A picture in a cell: row `row` of the file, counted from 0, the `index`th picture of `column`.

    Example:
        StoredCell(path="/data/train.parquet", row=3, column="images", index=0, where="data.train: row 3")
    """

    path: str
    row: int
    column: str
    index: int
    where: str

    def read(self) -> bytes:
        reader = PictureCells(None)
        try:
            value = _arrow_cell if self.path.endswith(ARROW) else _parquet_cell
            found, _ = reader.file(
                reader.cells(value(self.path, self.row, self.column))[self.index]
            )
        except (OSError, ValueError, LookupError) as error:  # pyarrow's errors are among these
            raise _gone(self.where, str(self), error) from error
        assert isinstance(found, bytes)  # a path needs a root
        return found

    def __str__(self) -> str:
        return f"{self.path}, row {self.row}, {self.column}[{self.index}]"


def stamp_of(path: str) -> tuple[int, int]:
    """Size and time of change of a file; of one that is not there (-1, -1), which no file has."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _gone(where: str, what: str, error: Exception) -> DataError:
    cause = str(error).strip().split("\n")[0]
    return DataError(
        f"{where}: {what} can't be read here ({cause:.200}), though it could be when it was checked; put it back, mount "
        "its folder on every node, or start the run again, which asks all nodes anew"
    )


def _parquet_cell(path: str, row: int, column: str) -> Any:
    import pyarrow.parquet as pq

    stamp = os.stat(path).st_mtime_ns
    starts, sizes = _row_groups(path, stamp)
    group = bisect_right(starts, row) - 1
    within = row - starts[group]
    if sizes[group] <= KEPT_BYTES:
        return _column_of_group(path, stamp, group, column)[within].as_py()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=16, row_groups=[group], columns=[column]):
            if within < batch.num_rows:
                return batch.column(0)[within].as_py()
            within -= batch.num_rows
    raise IndexError(f"no row {row}")


@lru_cache(maxsize=256)
def _row_groups(path: str, _stamp: int) -> tuple[list[int], list[int]]:
    """The first row and the bytes of each row group."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    counts = [group.num_rows for group in groups]
    starts = [sum(counts[:index]) for index in range(len(counts))]
    return starts, [group.total_byte_size for group in groups]


@lru_cache(maxsize=2)
def _column_of_group(path: str, _stamp: int, group: int, column: str) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(0)


def _arrow_cell(path: str, row: int, column: str) -> Any:
    return _arrow_table(path, os.stat(path).st_mtime_ns)[column][row].as_py()


@lru_cache(maxsize=256)
def _arrow_table(path: str, _stamp: int) -> Any:
    """The table of an arrow file, mapped into memory: its cells are read when asked for."""
    import pyarrow as pa

    source = pa.memory_map(path)
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(source).read_all()


def arrow_rows(path: str) -> int:
    """How many rows an arrow file has. Raises OSError or ValueError."""
    return int(_arrow_table(path, os.stat(path).st_mtime_ns).num_rows)


def sample_files(images: Iterable[EncodedImage]) -> dict[str, int]:
    """Of files that the images are read from, one in each folder, and every shard: path and size. {} if all are held.

    Evenly spaced, at most `MAX_SAMPLE`.
    """
    found: dict[str, str] = {}
    for image in images:
        source = image.source
        if isinstance(source, StoredFile):
            found.setdefault(os.path.dirname(source.path), source.path)
        elif isinstance(source, StoredCell):
            found.setdefault(source.path, source.path)
    paths = list(found.values())
    step = -(-len(paths) // MAX_SAMPLE) or 1
    return {path: stamp_of(path)[0] for path in paths[::step]}


def put_in_place(path: Path, content: bytes) -> None:
    """Write a file at once or not at all; others may do the same. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    temporary.write_bytes(content)
    temporary.replace(path)


def beside(path: Path) -> Path:
    """A name for a file that will take the place of this one: its own in each process on each node."""
    return path.with_name(f"{path.name}.{secrets.token_hex(6)}")


def unlike_here(files: dict[str, int]) -> list[str]:
    """Which of these files this machine does not see, or sees with another size."""
    return [path for path, size in files.items() if stamp_of(path)[0] != size]
