"""Where rows come from: a file, a folder in any of its forms, or the hub. Each row as it stands, with its place.

    FILE.jsonl, FILE.json        every cell as JSON has it (json_cells.py)
    FILE.parquet                 every cell in the column's type
    FOLDER/SPLIT.parquet ...     one file per split, or its shards SPLIT-*, there or in data/
    FOLDER of `save_to_disk`     of a Dataset or a DatasetDict
    FOLDER of `imagefolder`      metadata.jsonl, .csv or .parquet with `file_name`, there or in SPLIT/
    OWNER/NAME                   on the Hugging Face hub, no picture decoded
    a `datasets.Dataset`         handed over from Python, no picture decoded

Another kind of folder is one row in `_FOLDERS`.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vr1_ray.config.objects import NO_OBJECTS, named
from vr1_ray.data.json_cells import UnreadableRow, WrittenFloat, json_rows, json_value
from vr1_ray.data.refusals import DataError

FORMATS = (".parquet", ".jsonl", ".json")
_SPLIT_PATTERNS = (
    "{split}{suffix}",
    "{split}-*{suffix}",
    "data/{split}{suffix}",
    "data/{split}-*{suffix}",
)
_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The rows of a source. `root` is the folder its picture paths are relative to, None for the hub.

    `rows` gives (place, row): place is "row 3", row a dict, an UnreadableRow, or whatever else stood there.

    Example:
        open_table("data/train.jsonl", "train", "data.train").rows
    """

    source: str
    root: Path | None
    rows: Iterator[tuple[str, Any]]
    pictures: str = ""  # the column that this kind of source keeps its pictures in
    kind: str = ""  # what it was read as, if that is worth a line


def open_table(source: Any, split: str, field: str, revision: str | None = None) -> Table:
    """The rows of a source (a path, a hub name or a `datasets.Dataset`), read as they are asked for.

    Raises DataError.
    """
    if not isinstance(source, str):
        return _given_table(source, field)
    named(source, NO_OBJECTS, field)
    if not source:
        raise DataError(
            f"{field}: empty; give a .parquet, .jsonl or .json file, a folder, or a hub name"
        )
    path = Path(source)
    if path.is_dir():
        return _folder_table(path, split, field)
    if path.exists():
        if path.suffix not in FORMATS:
            raise DataError(
                f"{field}: {source} is not a {', '.join(FORMATS)} file; convert it to one"
            )
        return Table(source=source, root=path.parent, rows=_file_rows([path], field))
    is_local = (
        path.suffix in FORMATS or path.parent.is_dir()
    )  # a hub name has an owner, here no folder
    if is_local or not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError(
            f"{field}: {source} does not exist; check the path (relative to {Path.cwd()})"
        )
    return Table(source=source, root=None, rows=_hub_rows(source, split, field, revision))


def _given_table(dataset: Any, field: str) -> Table:
    """The rows of a dataset handed over from Python; paths of pictures need `data.image_root`."""
    check_is_dataset(dataset, field)
    return Table(source="the Dataset", root=None, rows=_dataset_rows(dataset))


def check_is_dataset(found: Any, field: str) -> None:
    """Raise DataError unless it is a `datasets.Dataset`."""
    import datasets

    if isinstance(found, datasets.Dataset):
        return
    cure = "make one of your rows with datasets.Dataset.from_list(rows)"
    if isinstance(found, datasets.DatasetDict):
        cure = f"give one of its splits, such as dataset[{next(iter(found), 'train')!r}]"
    elif isinstance(found, datasets.IterableDataset):
        cure = "a run needs all rows at hand; load it without streaming=True"
    raise DataError(f"{field}: a {type(found).__name__} is no datasets.Dataset; {cure}")


def _folder_table(folder: Path, split: str, field: str) -> Table:
    found = (open_folder(folder, split, field) for open_folder in _FOLDERS)
    table = next((table for table in found if table is not None), None)
    if table is not None:
        return table
    present = ", ".join(sorted(item.name for item in folder.iterdir())[:8]) or "nothing"
    pictures = any(folder.glob("*/*.jpg")) or any(folder.glob("*/*.png"))
    cure = (
        "pictures in folders have no questions; write metadata.jsonl with file_name and your columns"
        if pictures and not any(folder.glob("*.parquet"))
        else f"name one {split}.parquet or {split}.jsonl, or give another split"
    )
    raise DataError(
        f"{field}: folder {folder} has no file for split {split!r} (it holds {present}); {cure}"
    )


def _split_files(folder: Path, split: str, field: str) -> Table | None:
    for suffix in FORMATS:
        for pattern in _SPLIT_PATTERNS:
            files = sorted(folder.glob(pattern.format(split=split, suffix=suffix)))
            if files:
                return Table(source=str(folder), root=folder, rows=_file_rows(files, field))
    return None


def _imagefolder(folder: Path, split: str, field: str) -> Table | None:
    for place in (folder / split, folder):
        for name in _METADATA:
            if (place / name).is_file():
                return Table(
                    source=str(folder),
                    root=place,
                    rows=_file_rows([place / name], field),
                    pictures="file_name",
                    kind="imagefolder",
                )
    return None


def _saved_to_disk(folder: Path, split: str, field: str) -> Table | None:
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return None
    import datasets

    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # as in `_hub_rows`
        raise _unreadable(field, str(folder), error, "save it again") from error
    if isinstance(saved, dict):
        if split not in saved:
            raise DataError(
                f"{field}: {folder} has no split {split!r}, only {', '.join(saved)}; give one of these"
            )
        saved = saved[split]
    return Table(
        source=str(folder), root=folder, rows=_dataset_rows(saved), kind="saved by save_to_disk"
    )


_FOLDERS: tuple[Callable[[Path, str, str], Table | None], ...] = (
    _saved_to_disk,
    _imagefolder,
    _split_files,
)


def _file_rows(files: list[Path], field: str) -> Iterator[tuple[str, Any]]:
    readers = {".parquet": _parquet_rows, ".csv": _csv_rows}
    number = -1
    for path in files:
        within = -1
        try:
            for row in readers.get(path.suffix, json_rows)(path):
                number, within = number + 1, within + 1
                where = f" (row {within} of {path.name})" if len(files) > 1 else ""
                yield f"row {number}{where}", row
        except DataError as error:
            raise DataError(f"{field}: {error}") from error
        except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors
            cure = "check that the file is whole and of the format its name says"
            raise _unreadable(field, str(path), error, cure) from error


def _unreadable(field: str, source: str, error: Exception, cure: str) -> DataError:
    cause = str(error.__cause__ or error).strip().split("\n")[0]
    return DataError(f"{field}: {source} can't be read ({cause:.200}); {cure}")


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield {key: value for key, value in row.items() if key is not None}


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path} has the column {', '.join(twice)} twice; rename one")
    for batch in file.iter_batches(batch_size=64):
        yield from _arrow_rows(batch)


def _hub_rows(
    source: str, split: str, field: str, revision: str | None
) -> Iterator[tuple[str, Any]]:
    """`datasets.load_dataset` without its progress bars, its errors told in one line."""
    import datasets

    bars = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        dataset = datasets.load_dataset(source, split=split, revision=revision)
    except Exception as error:  # pyarrow, fsspec, hub and datasets errors have no common root
        cure = "it is no local file or folder; check the path, or the hub name, its split and the network"
        raise _unreadable(field, source, error, cure) from error
    finally:
        if not bars:
            datasets.enable_progress_bars()
    yield from _dataset_rows(dataset)


def _dataset_rows(dataset: Any) -> Iterator[tuple[str, Any]]:
    """The Arrow format hands pictures over as they are stored, never decoded."""
    number = -1
    for batch in dataset.with_format("arrow").iter(batch_size=64):
        for row in _arrow_rows(batch):
            number += 1
            yield f"row {number}", row


def _arrow_rows(batch: Any) -> Iterator[Any]:
    """Rows in plain Python. A float of 32 bits keeps its own digits, and a column of JSON text becomes its values."""
    changed = {name: change for name in batch.schema.names if (change := _change(batch, name))}
    for row in batch.to_pylist():
        try:
            yield row | {name: change(row[name]) for name, change in changed.items()}
        except ValueError as error:
            yield UnreadableRow(f"{', '.join(changed)}: {error}; mend the cell")


def _change(batch: Any, name: str) -> Callable[[Any], Any] | None:
    kind = batch.schema.field(name).type
    if str(kind) == "extension<arrow.json>":  # how `datasets` keeps a JSON column of mixed types
        return lambda text: None if text is None else json_value(text)
    if str(kind) in ("float", "halffloat"):
        import numpy as np

        narrow = np.float32 if str(kind) == "float" else np.float16
        return lambda value: None if value is None else _narrow_float(value, str(narrow(value)))
    return None


def _narrow_float(value: float, text: str) -> float:
    number = WrittenFloat(value)
    number.written = text
    return number
