"""Where rows come from: a file, a folder in any of its forms, or the hub. Each row as it stands, with its place.

    FILE.jsonl, FILE.json        every cell as JSON has it (json_cells.py)
    FILE.parquet                 every cell in the column's type
    FOLDER/SPLIT.parquet ...     one file per split, or its shards SPLIT-0 ..., there or in data/ (split_files.py)
    FOLDER of `save_to_disk`     of a Dataset or a DatasetDict
    FOLDER of `imagefolder`      metadata.jsonl, .csv or .parquet with `file_name`, there or in SPLIT/
    OWNER/NAME                   on the Hugging Face hub, no picture decoded
    a `datasets.Dataset`         handed over from Python, no picture decoded

Another kind of folder is one row in `_FOLDERS`.
"""

import csv
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vr1_ray.config.objects import NO_OBJECTS, named
from vr1_ray.config.paths import written_out
from vr1_ray.data.arrow_rows import arrow_files, dataset_rows, parquet_rows
from vr1_ray.data.csv_rows import csv_rows
from vr1_ray.data.json_cells import json_rows
from vr1_ray.data.refusals import DataError, shortened
from vr1_ray.data.split_files import split_files
from vr1_ray.data.stored import stamp_of
from vr1_ray.pictures import what_is

FORMATS = (".parquet", ".jsonl", ".json")
_SAVED = (("dataset_dict.json",), ("dataset_info.json", "state.json"))
_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What of a source is read and remembered as one: a file, or a whole data set of the hub.

    `rows` begins anew at each call; a row is a dict, an UnreadableRow, or whatever else stood there. `stamp` changes
    with the content; None where nothing tells whether it has. `place` gives the file and the number that a row's
    cells can be read again by, None where they can't.

    Example:
        Part(name="/data/train.parquet", rows=lambda: parquet_rows(path), stamp=(4096, 1_700_000_000_000_000_000))
    """

    name: str
    rows: Callable[[], Iterator[Any]]
    stamp: tuple[Any, ...] | None = None
    place: Callable[[int], tuple[str, int] | None] = lambda number: None
    label: str = ""  # its file, where it is one of several


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The rows of a source, by part. `root` is the folder its picture paths are relative to, None for the hub.

    Example:
        next(open_table("data/train.jsonl", "train", "data.train").parts).rows()
    """

    source: str
    root: Path | None
    parts: Iterator[Part]
    pictures: str = ""  # the column that this kind of source keeps its pictures in
    kind: str = ""  # what it was read as, if that is worth a line


def open_table(
    source: Any, split: str, field: str, revision: str | None = None, *, streaming: bool = False
) -> Table:
    """The rows of a source (a path, a hub name or a `datasets.Dataset`), read as they are asked for. Raises DataError.

    With `streaming` a data set of the hub is read over the network, without a copy of it here.
    """
    if not isinstance(source, str):
        return _given_table(source, field)
    named(source, NO_OBJECTS, field)
    if not source:
        raise DataError(
            f"{field}: empty; give a .parquet, .jsonl or .json file, a folder, or a hub name"
        )
    source = written_out(source)  # from Python no config was loaded
    path = Path(source)
    try:
        path.exists()
    except OSError as error:
        raise DataError(
            f"{field}: {shortened(source)} is no path ({error.strerror}); mend it"
        ) from error
    if path.is_dir():
        return _folder_table(path, split, field)
    if path.exists():
        if path.suffix not in FORMATS:
            raise DataError(
                f"{field}: {source} is not a {', '.join(FORMATS)} file; convert it to one"
            )
        return Table(source=source, root=path.parent, parts=_file_parts([path], field))
    is_local = (
        path.suffix in FORMATS or path.parent.is_dir()
    )  # a hub name has an owner, here no folder
    if is_local or not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError(
            f"{field}: {source} does not exist; check the path (relative to {Path.cwd()})"
        )
    parts = _hub_parts(source, split, field, revision, streaming=streaming)
    return Table(source=source, root=None, parts=parts)


def _given_table(dataset: Any, field: str) -> Table:
    """The rows of a dataset handed over from Python; paths of pictures need `data.image_root`."""
    check_is_dataset(dataset, field)
    return Table(
        source="the Dataset", root=None, parts=iter([dataset_part(dataset, "the Dataset")])
    )


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
    found = split_files(folder, split, field, FORMATS)
    if found is None:
        return None
    files, said = found
    return Table(source=str(folder), root=folder, parts=_file_parts(files, field), kind=said)


def _imagefolder(folder: Path, split: str, field: str) -> Table | None:
    for place in (folder / split, folder):
        files = [place / name for name in _METADATA if (place / name).is_file()]
        wholes = [place / f"{split}{suffix}" for suffix in FORMATS] if files else []
        both = [*files, *(file for file in wholes if file.is_file())]
        if len(both) > 1:
            names = " and ".join(file.name for file in both)
            raise DataError(
                f"{field}: {place} has {names}, each of which may be the rows; move the others away, or name the file itself"
            )
        if files:
            return Table(
                source=str(folder),
                root=place,
                parts=_file_parts(files, field),
                pictures="file_name",
                kind="imagefolder",
            )
    return None


def _saved_to_disk(folder: Path, split: str, field: str) -> Table | None:
    # A run folder has a state.json too, and a run of kind figure_math writes its data into it.
    if not any(all((folder / name).is_file() for name in names) for names in _SAVED):
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
    parts = iter([dataset_part(saved, f"{folder.absolute()} {split}")])
    return Table(source=str(folder), root=folder, parts=parts, kind="saved by save_to_disk")


_FOLDERS: tuple[Callable[[Path, str, str], Table | None], ...] = (
    _saved_to_disk,
    _imagefolder,
    _split_files,
)


def _file_parts(files: list[Path], field: str) -> Iterator[Part]:
    for path in files:
        name = str(path.absolute())
        yield Part(
            name=name,
            rows=partial(_file_rows, path, field),
            stamp=stamp_of(name),
            place=partial(_place_in, name) if path.suffix == ".parquet" else _no_place,
            label=path.name if len(files) > 1 else "",
        )


def _place_in(name: str, number: int) -> tuple[str, int]:
    return name, number


def _no_place(number: int) -> None:
    return None


def _file_rows(path: Path, field: str) -> Iterator[Any]:
    readers = {".parquet": parquet_rows, ".csv": csv_rows}
    try:
        with path.open("rb") as file:
            start = file.read(2048)
        known = "" if start.lstrip()[:1] in (b"", b"{", b"[") else what_is(start)
        if known:
            raise DataError(f"{path} is {known}")
        yield from readers.get(path.suffix, json_rows)(path)
    except DataError as error:
        raise DataError(f"{field}: {error}") from error
    except (OSError, ValueError, OverflowError, csv.Error) as error:  # pyarrow's are ValueErrors
        cure = "check that the file is whole and of the format its name says"
        raise _unreadable(field, str(path), error, cure) from error


def _unreadable(field: str, source: str, error: Exception, cure: str) -> DataError:
    cause = str(error.__cause__ or error).strip().split("\n")[0]
    return DataError(f"{field}: {source} can't be read ({cause:.200}); {cure}")


def _hub_parts(
    source: str, split: str, field: str, revision: str | None, *, streaming: bool
) -> Iterator[Part]:
    """`datasets.load_dataset` without its progress bars, its errors told in one line."""
    import datasets

    bars = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(source, split=split, revision=revision, streaming=streaming)
    except Exception as error:  # pyarrow, fsspec, hub and datasets errors have no common root
        cure = "it is no local file or folder; check the path, or the hub name, its split and the network"
        raise _unreadable(field, source, error, cure) from error
    finally:
        if not bars:
            datasets.enable_progress_bars()
    yield dataset_part(found, f"{source} {split} {revision}", streaming=streaming)


def dataset_part(dataset: Any, name: str, *, streaming: bool = False) -> Part:
    """A data set of `datasets`. One that is streamed has no stamp, so it is read at each start."""
    if streaming:
        return Part(name=name, rows=partial(dataset_rows, dataset))
    files = arrow_files(dataset)
    starts = [sum(rows for _, rows in files[:index]) for index in range(len(files))]

    def place(number: int) -> tuple[str, int]:
        index = bisect_right(starts, number) - 1
        return files[index][0], number - starts[index]

    return Part(
        name=name,
        rows=partial(dataset_rows, dataset),
        stamp=(dataset._fingerprint, *(stamp_of(file) for file, _ in files)),
        place=place if files else _no_place,
    )
