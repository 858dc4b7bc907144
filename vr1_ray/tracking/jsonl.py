"""`metrics.jsonl`: written row by row, and read again; beside it `notes.jsonl`, what the user was told and at which step."""

import errno
import json
import math
import os
import time
from pathlib import Path
from typing import IO, Any

from vr1_ray.tracking.sinks import Value

METRICS = "metrics.jsonl"
NOTES = "notes.jsonl"
_MAX_NOTE = 1_000  # characters that are kept of one


class JsonlSink:
    """`metrics.jsonl`: one row a step, on disk before the next step begins.

    With a `resume_step` the rows after it, and a row that a killed run left half written, are removed;
    without one the file starts anew. A number that is not finite becomes null: JSON has no NaN.
    Rows that a full disk refuses are kept and written with the next one.
    """

    def __init__(self, folder: Path, resume_step: int | None) -> None:
        self.path = folder / METRICS
        self.waiting: list[dict[str, Any]] = []  # rows that could not be written yet
        found = [] if resume_step is None else read_rows(self.path)
        kept = [row for row in found if row["step"] <= (resume_step or 0)]
        self._file = _new_file(self.path, kept)
        self._notes = folder / NOTES
        self._step = kept[-1]["step"] if kept else 0  # the last that was logged
        if resume_step is None:
            self._notes.unlink(missing_ok=True)

    def log(self, step: int, metrics: dict[str, Value]) -> None:
        """Write the row, behind those that wait. Raises OSError if the disk takes no more."""
        self._step = step
        self.waiting.append({"step": step, **metrics})
        self._write()

    def _write(self) -> None:
        while self.waiting:
            line = _to_line(self.waiting[0]).encode()
            end = self._file.seek(0, os.SEEK_END)
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)  # no half row
                raise
            self.waiting.pop(0)

    def add(self, step: int, metrics: dict[str, Value]) -> None:
        """Join the row of the step: the last that waits, else the last on disk. Raises OSError if the disk is full."""
        rows = self.waiting or read_rows(self.path)
        if not rows or rows[-1]["step"] != step:
            return
        rows[-1] |= metrics
        if not self.waiting:
            old, self._file = self._file, _new_file(self.path, rows)
            old.close()

    def note(self, message: str) -> None:
        """Keep it, with the step that is being made; what a step told that is done again stays. Raises OSError."""
        row = {
            "step": self._step + 1,
            "seconds": round(time.time(), 1),
            "text": message[:_MAX_NOTE],
        }
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def rewind(self, step: int) -> None:
        self._step = min(self._step, step)
        self.waiting = [row for row in self.waiting if row["step"] <= step]
        end = 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            if json.loads(line)["step"] > step:
                break
            end += len(line)
        self._file.truncate(end)  # needs no room, unlike a new file

    def close(self) -> None:
        try:
            self._write()
        finally:
            self._file.close()


def _new_file(path: Path, rows: list[dict[str, Any]]) -> IO[bytes]:
    """Put these rows in the place of the file, whole or not at all; open to write behind them."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(_to_line(row) for row in rows)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path.open("ab", buffering=0)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line that was cut off is left out."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except ValueError:
            if number != len(lines) - 1:
                raise
    return rows


def _to_line(row: dict[str, Any]) -> str:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"
