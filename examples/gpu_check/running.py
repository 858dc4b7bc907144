"""Runs parts one after the other, each in a process of its own with a time limit, and keeps what they found.

A part that crashes or hangs costs the row it was at; all processes it started are ended before the next begins.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from examples.gpu_check.bench import EVENTS, Bench
from examples.gpu_check.machine import Machine
from examples.gpu_check.table import Part, why_not

ROOT = Path(__file__).parents[2]
MARK = "VR1_GPU_CHECK"  # in the environment of all that a part starts
SHORTEST = 20.0  # a part is not begun with less time left
REHEARSAL = 3  # times as long a part may take on CPU, whose cores others may use too
END_SECONDS = 10.0  # for killed processes to be gone

Status = Literal["passed", "failed", "left out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the result. `cause` says why it failed or was left out.

    Example:
        Row(part="engine", row="ban", what="...", status="passed", seconds=3.1, figures={"sampled": 8192})
    """

    part: str
    row: str
    what: str
    status: Status
    cause: str = ""
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)


def run_parts(
    parts: Sequence[Part],
    machine: Machine,
    *,
    device: Literal["cuda", "cpu"],
    gpus: int,
    folder: Path,
    seconds: float,
    show: Callable[[Row], None],
) -> list[Row]:
    """The rows of all parts. Those that would begin after `seconds` are left out, and say so."""
    deadline = time.monotonic() + seconds
    found = []
    for part in parts:
        left = deadline - time.monotonic()
        why = why_not(part, machine, device=device, gpus=gpus)
        if not why and left < SHORTEST:
            why = f"the {seconds / 60:g} minutes were over; run it alone: PARTS={part.name}"
        if why:
            rows = left_out(part, why)
        else:
            bench = Bench(
                device=device,
                gpus=gpus,
                gib=min((gpu.total_gib for gpu in machine.gpus[:gpus]), default=0.0),
                host_gib=machine.host_gib,
                packages=machine.packages,
                folder=folder / part.name,
                seconds=min(part.seconds * (1 if device == "cuda" else REHEARSAL), left),
            )
            rows = run_part(part, bench)
        for row in rows:
            show(row)
        found += rows
    return found


def left_out(part: Part, why: str) -> list[Row]:
    """All rows of a part that is not run."""
    return [
        Row(part=part.name, row=name, what=what, status="left out", cause=why)
        for name, what in part.rows.items()
    ]


def run_part(part: Part, bench: Bench) -> list[Row]:
    """Run one part in a process of its own. Its output is in FOLDER/log.txt."""
    folder = bench.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).unlink(missing_ok=True)
    bench.write(folder / "bench.json")
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "examples.gpu_check.one", part.target, str(folder)]
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=ROOT,
            env=_environment(bench, mark),
        )
        try:
            process.wait(timeout=bench.seconds)
            ending = _ending(process.returncode)
        except subprocess.TimeoutExpired:
            ending = f"did not end within {bench.seconds:.0f} s"
        finally:
            end_all(mark)
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:  # it hangs in a driver
        ending += ", and could not be killed"
    return _rows(part, folder, ending)


def _environment(bench: Bench, mark: str) -> dict[str, str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else [str(index) for index in range(bench.gpus)]
    mine = ",".join(names[: bench.gpus]) if bench.is_gpu else ""
    return {**os.environ, MARK: mark, "CUDA_VISIBLE_DEVICES": mine, "PYTHONUNBUFFERED": "1"}


def _ending(code: int) -> str:
    """How a process ended by itself; empty if well."""
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with {code}" if code else ""


def _rows(part: Part, folder: Path, ending: str) -> list[Row]:
    events = [json.loads(line) for line in _lines(folder / EVENTS)]
    told = {event["row"]: event for event in events}  # the last of each
    stopped_at = next((name for name, event in told.items() if event["status"] == "begun"), "")
    if ending and not told:
        stopped_at = next(iter(part.rows))
    found = []
    for name, what in part.rows.items():
        event = told.get(name, {})
        if name == stopped_at:
            cause = f"{ending or 'its process ended'}; {_last_words(folder)}"
            seconds = round(time.time() - event.get("at", time.time()), 2)
            event = {"status": "failed", "cause": cause, "seconds": seconds}
        elif not event:
            event = {"status": "left out", "cause": f"not reached: {_before(told, stopped_at)}"}
        kept = {key: value for key, value in event.items() if key != "row"}
        found.append(Row(part=part.name, row=name, what=what, **kept))
    return found


def _before(told: dict[str, Any], stopped_at: str) -> str:
    bad = [name for name, event in told.items() if event["status"] in ("failed", "left out")]
    last = stopped_at or (bad[-1] if bad else "")
    return f"the part ended at {last}" if last else "the part ended before it"


def _last_words(folder: Path) -> str:
    lines = [line.strip() for line in _lines(folder / "log.txt") if line.strip()]
    last = lines[-1][:300] if lines else "nothing was printed"
    return f"its last line: {last} (all of it: {folder / 'log.txt'})"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def end_all(mark: str) -> None:
    """Kill every process that carries the mark: Ray's, vLLM's and what they left behind."""
    deadline = time.monotonic() + END_SECONDS
    while (left := list(marked(mark))) and time.monotonic() < deadline:
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended, which is what is wanted
        time.sleep(0.1)


def marked(mark: str) -> Iterator[int]:
    """Ids of the processes that were started with the mark and still run."""
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
        except OSError:
            continue  # it has ended, or is another user's
