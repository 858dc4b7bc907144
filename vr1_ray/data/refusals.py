"""What can't be used, and what becomes of it: the one error form of all readers.

    data.train: train.jsonl has rows that can't be used, counted from 0:
      row 3: images: 'a.png' is no file in data; put the image there, or set data.image_root ...

With `data.bad_rows: skip` such rows are left out, up to the share `data.max_bad_rows`, told in one line of the log,
and listed one a line in `data.bad_rows_file`: {"field", "source", "row", "problem"}.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vr1_ray.config import DataConfig
from vr1_ray.wording import counted

log = logging.getLogger(__name__)

MAX_PROBLEM_ROWS = 5
BAD_ROWS = "bad_rows.jsonl"


class DataError(ValueError):
    """A dataset or a row of it can't be used. The message names the field, the value and the cure."""


def shortened(value: Any, limit: int = 80) -> str:
    """A value for a message: at most `limit` signs, its rest counted; never a whole picture."""
    if isinstance(value, bytes | bytearray):
        return f"{counted(len(value), 'byte')} {bytes(value[:8])!r}..."
    if isinstance(value, dict):
        inner = ", ".join(f"{key!r:.40}: {shortened(item, 40)}" for key, item in value.items())
        value, text = None, f"{{{inner}}}"
    elif isinstance(value, str):
        text = repr(value[: limit + 1])
        return text if len(value) <= limit else f"{value[:limit]!r}... ({len(value)} signs)"
    else:
        text = repr(value[:20] if isinstance(value, list) else value)
    return text if len(text) <= 2 * limit else f"{text[: 2 * limit]}..."


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRows:
    """What becomes of rows that can't be used.

    Example:
        BadRows(policy="skip", max_share=0.01, file="runs/rl/bad_rows.jsonl")
    """

    policy: Literal["error", "skip"] = "error"
    max_share: float = 0.1
    file: str = BAD_ROWS

    @classmethod
    def of(cls, config: DataConfig) -> "BadRows":
        return cls(
            policy=config.bad_rows,
            max_share=config.max_bad_rows,
            file=config.bad_rows_file or BAD_ROWS,
        )


class RowProblems:
    """Collects what is wrong with the rows of one source: refuses them, several at once, or lets them be skipped.

    Example:
        problems = RowProblems("data.train", "train.parquet")
        problems.add(3, "answer: empty; ...")
        problems.raise_if_any(num_rows=200)
    """

    def __init__(self, field: str, source: str, bad_rows: BadRows | None = None) -> None:
        self.field = field
        self.source = source
        self.bad_rows = bad_rows or BadRows()
        self.problems: list[tuple[str, str]] = []

    def add(self, row: int | str, problem: str) -> None:
        """A row, by its number or by words that say where it stands. Raises DataError when there are enough."""
        place = f"row {row}" if isinstance(row, int) else row
        self.problems.append((place, printable(problem)))
        if self.bad_rows.policy == "error" and len(self.problems) >= MAX_PROBLEM_ROWS:
            raise DataError(self._message(" (reading stopped here)"))

    def raise_if_any(self, num_rows: int | None = None) -> None:
        """At the end of the source: raises DataError, or tells and lists what is skipped of `num_rows` rows."""
        if self.bad_rows.policy == "error":
            if self.problems:
                raise DataError(self._message(""))
            return
        total = max(num_rows or 0, len(self.problems))
        if self.problems and len(self.problems) / total > self.bad_rows.max_share:
            raise DataError(
                f"{self._message('')}\n  {len(self.problems)} of {total} rows are more than the share "
                f"data.max_bad_rows={self.bad_rows.max_share:g} that data.bad_rows=skip may leave out; mend them, "
                "or raise it"
            )
        self._list()
        if self.problems:
            place, problem = self.problems[0]
            log.warning(
                "%s: %s: %d of %d rows can't be used and are skipped (data.bad_rows), listed in %s; the first is %s: %s",
                self.field, self.source, len(self.problems), total, self.bad_rows.file, place, problem,
            )  # fmt: skip

    def _message(self, more: str) -> str:
        shown = "\n  ".join(
            f"{place}: {problem}" for place, problem in self.problems[:MAX_PROBLEM_ROWS]
        )
        return f"{self.field}: {self.source} has rows that can't be used, counted from 0{more}:\n  {shown}"

    def _list(self) -> None:
        """The skipped rows on disk; those of other sources stay, an earlier list of this one is replaced."""
        path = Path(self.bad_rows.file)
        try:
            self._write_list(path)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"data.bad_rows_file: {path} can't be written ({error}); give the path of a list that can"
            ) from error

    def _write_list(self, path: Path) -> None:
        own = {"field": self.field, "source": self.source}
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if not _is_of(line, own)]
        added = [json.dumps({**own, "row": row, "problem": why}) for row, why in self.problems]
        if kept + added or lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in kept + added), encoding="utf-8")


def _is_of(line: str, own: dict[str, str]) -> bool:
    """Whether a line of the list is of this source; what is no such line is left alone."""
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and own.items() <= found.items()


def printable(text: str) -> str:
    """The text with half signs (lone surrogates) spelled out, so that it can be written anywhere."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
