"""Where the rows of a benchmark come from: the hub, or a local folder in any of the published forms.

Looked for in `eval.benchmarks_folder`, in this order: a folder NAME/ that holds the split's parquet (`data/SPLIT-*`,
`SPLIT.parquet`), its JSON or JSONL with images beside it, or a VLMEvalKit TSV; then such a TSV in the folder itself.
"""

import csv
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.data.images import ImageReader
from vr1_ray.data.json_cells import UnreadableRow, json_rows
from vr1_ray.data.refusals import BadRows, DataError, RowProblems, shortened
from vr1_ray.evaluation.base import Benchmark, Question
from vr1_ray.evaluation.rows import MAX_REFERENCE, Row, is_empty, literal

log = logging.getLogger(__name__)

FIELD = "eval.benchmarks_folder"
HUB = "hub"
ASKED = ("question", "problem", "query")  # columns
_MARK = re.compile(r"<image[ _]?\d*>")
SUFFIXES = (".parquet", ".jsonl", ".json", ".tsv")
PATTERNS = (
    "data/{split}-*.parquet",
    "{split}-*.parquet",
    "{split}.parquet",
    "data/{split}.parquet",
    "{split}.jsonl",
    "{split}.json",
    "data/{split}.jsonl",
    "data/{split}.json",
)


def read_questions(
    benchmark: Benchmark,
    folder: str,
    *,
    max_image_pixels: int = 64_000_000,
    bad_rows: BadRows | None = None,
    unpack: Path | None = None,
) -> list[Question]:
    """All questions of a benchmark, in file order. Raises DataError naming the file, the row and the cure.

    Pictures are references, as those of prompts; what has no place of its own (a TSV's, the hub's) is written into the
    folder `unpack`, or held without one.

    Example:
        read_questions(make_benchmark("mathvista"), "data/benchmarks")
    """
    questions: list[Question] = []
    for rows, path, name in _tables(benchmark, folder):
        root = _image_root(path) if path else None
        images = ImageReader(root, max_image_pixels, by_reference=True, unpack=unpack, setting="")
        problems = RowProblems(FIELD if folder != HUB else "benchmarks", name, bad_rows)
        number = -1
        for number, columns in enumerate(rows):
            images.where = f"{benchmark.name}: {name}, row {number}"
            if path is not None and path.suffix == ".parquet":
                images.place = (os.path.abspath(path), number)
            try:
                check_columns(columns)
                question = benchmark.question(Row(columns, images, table=name, number=number))
                _check_pictures(columns, question)
                questions.append(question)
            except DataError as error:
                problems.add(number, str(error))
        problems.raise_if_any(number + 1)
        for note, count in images.notes.items():
            log.info("%s: %s: %d %s", benchmark.name, name, count, note)
    if not questions:
        raise DataError(f"{FIELD}: {benchmark.name} has no rows; check the file")
    _check_ids(benchmark, questions)
    return questions


def check_columns(row: Any) -> None:
    """Raises DataError for what is no row of columns."""
    if isinstance(row, UnreadableRow):
        raise DataError(row.reason)
    if not isinstance(row, dict):
        raise DataError(f"{shortened(row)} is no row; a row is an object of columns")


def _check_pictures(columns: dict[str, Any], question: Question) -> None:
    """Raises DataError for a row that marks a picture and has none: it would be asked blind."""
    for name in () if question.prompt.images else ASKED:
        if mark := _MARK.search(str(columns.get(name, ""))):
            raise DataError(
                f"{name}: {mark[0]} marks a picture, but the row has none; put it there, or drop the row"
            )


def _check_ids(benchmark: Benchmark, questions: list[Question]) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.question_id in seen:
            raise DataError(
                f"{FIELD}: {benchmark.name} has the id {question.question_id!r} twice; responses are kept by id, "
                "so give every row its own"
            )
        seen.add(question.question_id)


def _tables(
    benchmark: Benchmark, folder: str
) -> Iterator[tuple[Iterator[dict[str, Any]], Path | None, str]]:
    """(rows, file, name) of each file or hub split."""
    splits = benchmark.splits or (benchmark.split,)
    if folder == HUB:
        for split in splits:
            yield _hub_rows(benchmark, split), None, f"{benchmark.hub}[{split}]"
        return
    for path in find_files(benchmark, Path(folder)):
        yield file_rows(path), path, path.name


def find_files(benchmark: Benchmark, folder: Path) -> list[Path]:
    """The files of a benchmark in a folder of benchmarks: of each split in order, or the one TSV."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "no folder that is there"
        raise DataError(
            f"{FIELD}: {folder} is {what}; give the folder that holds {benchmark.name}/, or {HUB}"
        )
    own = folder / benchmark.name
    if own.is_dir():
        for splits in (benchmark.file_splits, benchmark.splits or (benchmark.split,)):
            per_split = [_first_match(own, PATTERNS, name) for name in splits]
            if per_split and all(per_split):
                return [path for found in per_split for path in found]
        deeper = tuple(f"*/{name}" for name in benchmark.files)  # an archive unpacked as it is
        if found := _first_match(own, (*benchmark.files, "*.tsv", *deeper), benchmark.split):
            return found
    if found := _first_match(folder, benchmark.files, benchmark.split):
        return found
    names = [pattern.format(split=benchmark.split) for pattern in PATTERNS[:3]]
    or_hub = f", or set {FIELD}=hub" if benchmark.hub else ""
    raise DataError(
        f"{FIELD}: {folder} has nothing of {benchmark.name}; put {' or '.join([*names, *benchmark.files])} into {own} as "
        f"published{or_hub}"
    )


def _first_match(folder: Path, patterns: tuple[str, ...], split: str) -> list[Path]:
    for pattern in patterns:
        found = sorted(folder.glob(pattern.format(split=split)))
        if found:
            return found
    return []


def _image_root(path: Path) -> Path:
    """Relative paths count from the file's folder, or from the one above a `data/` folder."""
    return path.parent.parent if path.parent.name == "data" else path.parent


def file_rows(path: Path, field: str = FIELD) -> Iterator[dict[str, Any]]:
    """The rows of one file that the setting `field` names. Raises DataError for one that can't be read."""
    try:
        if path.suffix == ".parquet":
            yield from _parquet_rows(path, field)
        elif path.suffix == ".tsv":
            yield from tsv_rows(path)
        elif path.suffix == ".jsonl":
            yield from json_rows(path)
        elif path.suffix == ".json":
            yield from _json_rows(json.loads(path.read_text(encoding="utf-8")))
        else:
            raise DataError(f"{field}: {path} is none of {', '.join(SUFFIXES)}; convert it to one")
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{field}: {path} can't be read ({error!s:.200}); check that the file is whole"
        ) from error


def _json_rows(content: Any) -> Iterator[dict[str, Any]]:
    """A list of rows, or a mapping from id to row (MathVista's testmini.json, DynaMath's dataset.json)."""
    if isinstance(content, dict):
        for key, row in content.items():
            yield {"id": key, **row} if isinstance(row, dict) else row
    else:
        yield from content if isinstance(content, list) else [content]


def _parquet_rows(path: Path, field: str) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq
    from pyarrow.lib import ArrowException

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64):
            yield from batch.to_pylist()
    except ArrowException as error:
        raise DataError(
            f"{field}: {path} is no sound parquet file ({error!s:.200}); download it again"
        ) from error


def tsv_rows(path: Path) -> Iterator[dict[str, Any]]:
    """A VLMEvalKit TSV: an image cell of at most 64 signs names the row that holds the image."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    images = {row.get("index"): row["image"] for row in rows if row.get("image")}
    for row in rows:
        columns: dict[str, Any] = {
            key: value for key, value in row.items() if key is not None and not is_empty(value)
        }
        cell = columns.get("image")
        if cell is not None and len(cell) <= MAX_REFERENCE and cell in images:
            columns["image"] = cell = images[cell]
        if cell is not None and cell.startswith("["):
            columns["image"] = literal(cell, "image")
        yield columns


def _hub_rows(benchmark: Benchmark, split: str) -> Iterator[dict[str, Any]]:
    """Rows as they are stored, no image decoded. Raises DataError if the hub can't be read."""
    if not benchmark.hub:
        raise DataError(
            f"benchmarks: {benchmark.name} is published as files that no hub reader takes as they are; download "
            f"them and set {FIELD} (examples/evaluation/README.md says which)"
        )
    import datasets

    dataset, causes = None, []
    for hub in (benchmark.hub, *benchmark.hubs_moved):
        try:
            dataset = datasets.load_dataset(hub, benchmark.hub_config, split=split)
            break
        except Exception as error:  # pyarrow, fsspec, hub and datasets errors have no common root
            cause = str(error.__cause__ or error).strip().split("\n")[0]
            causes.append(f"{hub}[{split}] can't be read ({cause:.200})")
    if dataset is None:
        raise DataError(
            f"benchmarks: {benchmark.name}: {', '.join(causes)}; check the network, or download it and set {FIELD}"
        )
    for batch in dataset.with_format("arrow").iter(batch_size=64):
        yield from batch.to_pylist()
