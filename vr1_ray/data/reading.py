"""Reading a whole source: its rows in order, what can't be used refused or skipped, one line a thing worth telling.

What an earlier start has read is taken from its index (row_index.py). Other rows are read here if they are few, else
in processes beside this one, a bounded number of rows at a time.
"""

import gc
import logging
import pickle
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.config.paths import written_out
from vr1_ray.data.outcomes import Outcome, Reading, RowTask, read_rows
from vr1_ray.data.refusals import BadRows, DataError, RowProblems, shortened
from vr1_ray.data.row_index import RowIndex, known_pictures
from vr1_ray.data.rows import WARNINGS, Kind, ReadRow, RowReader
from vr1_ray.data.tables import Part, Table
from vr1_ray.data.workers import WorkerLostError, Workers, num_workers
from vr1_ray.wording import counted

log = logging.getLogger(__name__)

FEW_ROWS = 256  # are read before a process would have started
CHUNK_ROWS = 16  # go to a worker at once


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
    reading = Reading(
        config=config,
        kind=kind,
        field=field,
        source=table.source,
        root=Path(written_out(config.image_root)) if config.image_root else table.root,
        pictures=table.pictures,
        max_images=max_images,
    )
    problems = RowProblems(field, table.source, BadRows.of(config))
    notes: Counter[str] = Counter()
    listed: dict[str, list[str]] = {}
    found: list[ReadRow] = []
    num_rows = 0
    with _uncollected(), closing(_outcomes(table, reading, max_rows)) as outcomes:
        for place, outcome in outcomes:
            num_rows += 1
            notes.update(outcome.notes)
            for note, values in outcome.listed.items():
                listed.setdefault(note, []).extend(values)
            if outcome.row is None:
                problems.add(place, outcome.problem)
            else:
                found.append(replace(outcome.row, place=place))
    problems.raise_if_any(num_rows)
    if not found and num_rows:
        raise DataError(
            f"{field}: all {counted(num_rows, 'row')} of {table.source} were skipped (data.bad_rows=skip), the first for "
            f"{problems.problems[0][1]}; mend them"
        )
    if not found:
        raise DataError(f"{field}: {table.source} has no rows; give a file or split that has")
    _say(notes, listed, table, field)
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: rows are millions of objects that stay, and it would look at all again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _outcomes(
    table: Table, reading: Reading, max_rows: int | None
) -> Generator[tuple[str, Outcome], None, None]:
    """(place, what became of it) of each row, in order."""
    number = 0
    with _Checker(reading) as checker:
        for part in table.parts:
            left = None if max_rows is None else max_rows - number
            if left == 0:
                return
            part_reader = _PartReader(part, reading, first=number)
            with closing(part_reader.outcomes(checker, left)) as outcomes:
                for within, outcome in enumerate(outcomes):
                    yield part_reader.place(within), outcome
                    number += 1


class _PartReader:
    """Reads one part: what is known of it, and what is not."""

    def __init__(self, part: Part, reading: Reading, *, first: int) -> None:
        self.part = part
        self.reading = reading
        self.first = first
        self.index = RowIndex(reading.config.index_folder, reading, part)

    def place(self, within: int) -> str:
        """What the row is called, by its number in the source and in the file."""
        label = f" (row {within} of {self.part.label})" if self.part.label else ""
        return f"row {self.first + within}{label}"

    def where(self, within: int) -> str:
        return self.reading.where(self.place(within))

    def outcomes(self, checker: "_Checker", max_rows: int | None) -> Generator[Outcome, None, None]:
        known, is_whole = self.index.load(self.where)
        wanted = known[:max_rows]
        if all(wanted) and (is_whole or len(wanted) == max_rows):
            yield from (outcome for outcome in wanted if outcome is not None)
            return
        checker.remember(self.index.path)
        count = 0
        with self.index.writing() as keep:
            try:
                for outcome in checker.check(self._items(wanted, max_rows)):
                    keep(outcome)
                    count += 1
                    yield outcome
                is_whole = is_whole or max_rows is None or count < max_rows
            finally:  # rows after those that were asked for stay known
                for rest in known[count:]:
                    keep(rest or Outcome())
                keep(is_whole)

    def _items(
        self, known: list[Outcome | None], max_rows: int | None
    ) -> Iterator[Outcome | RowTask]:
        for within, row in enumerate(islice(self.part.rows(), max_rows)):
            outcome = known[within] if within < len(known) else None
            yield outcome or RowTask(
                row=row, where=self.where(within), place=self.part.place(within)
            )


class _Checker:
    """Reads rows in order: the first few here, the rest in workers, which are started when there are more."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._index = ""  # knows pictures of an earlier start
        self._pickled = pickle.dumps(reading)
        self._here = reading.reader()
        self._num_tasks = 0
        self._workers: Workers | None = None

    def remember(self, index: Path | None) -> None:
        """Take what an index knows of pictures, though its rows may be old."""
        if index is not None and index.is_file():
            self._index = str(index)
            self._here = self.reading.reader(known_pictures(index))

    def check(self, items: Iterable[Outcome | RowTask]) -> Iterator[Outcome]:
        """What becomes of each; what is known is passed on."""
        waiting: deque[tuple[list[Outcome | RowTask], Future[Any] | list[Outcome]]] = deque()
        most = 2 * num_workers()
        items = iter(items)
        while chunk := list(islice(items, CHUNK_ROWS)):
            tasks = [item for item in chunk if isinstance(item, RowTask)]
            waiting.append((chunk, self._begin(tasks)))
            while len(waiting) > (most if self._workers else 0):
                yield from self._end(*waiting.popleft())
        while waiting:
            yield from self._end(*waiting.popleft())

    def _begin(self, tasks: list[RowTask]) -> "Future[Any] | list[Outcome]":
        self._num_tasks += len(tasks)
        if not tasks or self._num_tasks <= FEW_ROWS:
            return read_rows(self._here, tasks)
        if self._workers is None:
            self._workers = Workers(num_workers())
        return self._workers.submit(read_rows_there, self._pickled, self._index, tasks)

    def _end(
        self, chunk: list[Outcome | RowTask], result: "Future[Any] | list[Outcome]"
    ) -> Iterator[Outcome]:
        try:
            found = iter(result if isinstance(result, list) else result.result())
        except WorkerLostError as error:
            tasks = [item.where for item in chunk if isinstance(item, RowTask)]
            raise DataError(
                f"{tasks[0]}: {error} while it checked the rows up to {tasks[-1]}; a picture there breaks its decoder, or "
                "memory ran out: take them out one by one, or free memory"
            ) from error
        for item in chunk:
            yield next(found) if isinstance(item, RowTask) else item

    def __enter__(self) -> "_Checker":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._workers is not None:
            self._workers.__exit__(*error)


def read_rows_there(reading: bytes, index: str, tasks: Sequence[RowTask]) -> list[Outcome]:
    """The same in a worker: `reading` is pickled, `index` the file that knows pictures from an earlier start, or ""."""
    return read_rows(_reader(reading, index), tasks)


@lru_cache(maxsize=1)
def _reader(reading: bytes, index: str) -> RowReader:
    how: Reading = pickle.loads(reading)
    return how.reader(known_pictures(Path(index)) if index else None)


def _say(notes: Counter[str], listed: dict[str, list[str]], table: Table, field: str) -> None:
    """One line of the log for each thing that is worth one."""
    if table.kind:
        log.info("%s: %s: read as %s", field, table.source, table.kind)
    for note, count in notes.items():
        level = logging.WARNING if note.startswith(WARNINGS) else logging.INFO
        log.log(level, "%s: %s: %d %s", field, table.source, count, note)
    for note, values in listed.items():
        shown = ", ".join(shortened(value, 40) for value in values[:5])
        log.warning("%s: %s: %d %s%s", field, table.source, len(values), note, shown)
