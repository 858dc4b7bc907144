"""The result of the checks as one table: plain records in, text out. Knows nothing of what is checked.

A check of your own makes `CheckRow`s; `vr1 check` shows them beside the others.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TextIO

from vr1_ray.wording import counted

Status = Literal["ok", "warning", "bad"]

COLOURS: dict[Status, str] = {"ok": "32", "warning": "33", "bad": "31"}  # green, yellow, red
HEADER = ("check", "value", "limit", "status")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRow:
    """One line of the table. `bad` means the run will fail, `warning` that it may, or does less than it could.

    Example:
        CheckRow(name="engine: weights", value="15.4 GiB", limit="68.0 GiB")
    """

    name: str
    value: str
    limit: str = "-"  # "-" where there is none, or none is known
    status: Status = "ok"
    cure: str = ""  # what to change; never empty if the status is not ok


def not_checked(name: str, by: str) -> CheckRow:
    """A row for a check that was left out; `by` says why and what makes it. What is not looked at is not fine.

    Example:
        not_checked("rewards, rehearsed", "needs data.train, which is refused; mend it and check again")
    """
    return CheckRow(name=name, value="not checked", status="warning", cure=by)


def render(rows: Iterable[CheckRow], *, colour: bool | None = None) -> str:
    """One aligned text table; below it a line for each cure, and a last one that counts.

    `colour` None colours the status if standard output is a terminal.
    """
    rows = list(rows)
    paint = _is_terminal(sys.stdout) if colour is None else colour
    cells = [HEADER, *((row.name, row.value, row.limit, row.status) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = [_line(HEADER, widths), "-" * len(_line(HEADER, widths, padded=True))]
    for row in rows:
        text = _line((row.name, row.value, row.limit), widths)
        lines.append(f"{text}{_painted(row.status, paint)}")
    lines += [f"{_painted(row.status, paint)} {row.name}: {row.cure}" for row in rows if row.cure]
    return "\n".join([*lines, summary_line(rows)])


def summary_line(rows: Iterable[CheckRow]) -> str:
    """How many rows there are of each status, in words."""
    found = [row.status for row in rows]
    return f"{counted(len(found), 'check')}: " + ", ".join(
        f"{found.count(kind)} {kind}" for kind in COLOURS
    )


def is_sound(rows: Iterable[CheckRow]) -> bool:
    """True if no row is bad: the exit code of `vr1 check`."""
    return all(row.status != "bad" for row in rows)


def _line(cells: tuple[str, ...], widths: list[int], *, padded: bool = False) -> str:
    """Cells side by side; the last column is padded only where its width is asked for."""
    text = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=False))
    is_last = len(cells) == len(widths)
    return text.rstrip() if is_last and not padded else text


def _painted(status: Status, paint: bool) -> str:
    return f"\x1b[{COLOURS[status]}m{status}\x1b[0m" if paint else status


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()
