"""What happened in a run and when, for the time axis of its report: read from its metrics, notes, checkpoints and result."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from vr1_ray.report.curves import stage_spans
from vr1_ray.report.records import Event
from vr1_ray.runs.run_folder import RESULT
from vr1_ray.runs.run_state import read_state
from vr1_ray.tracking.jsonl import NOTES

# By what a note begins with or holds; others (where logs are, an evaluation's figures) are no events.
_KINDS = (
    ("ALARM", "alarm"),
    ("going on from ", "start"),
    (" was lost", "engine"),
    ("is started a", "engine"),
    ("gets no new requests", "engine"),
    ("vr1 scale", "scaling"),
    (" actors: ", "scaling"),
    ("the curriculum ends the run", "stage"),
)
_STEP = re.compile(r"ALARM step (\d+):")
MAX_EVENTS = 2_000  # of a page; later ones are those that are looked for


def events_of(folder: Path, rows: Sequence[dict[str, Any]]) -> list[Event]:
    """The events of a run in the order of their steps: stages, starts, scaling, engines, checkpoints, alarms, the end."""
    found = [
        *_stages(rows),
        *_changes(rows),
        *_checkpoints(folder, rows),
        *_notes(folder),
        *_end(folder, rows),
    ]
    return sorted(found, key=lambda event: event.step)[-MAX_EVENTS:]


def _stages(rows: Sequence[dict[str, Any]]) -> Iterator[Event]:
    for span in stage_spans(list(rows)):
        tokens, size = span["max_response_tokens"], span["group_size"]
        text = f"stage {span['stage']}: up to {tokens} tokens, groups of {size}"
        yield Event(step=span["first"], kind="stage", text=text)


def _changes(rows: Sequence[dict[str, Any]]) -> Iterator[Event]:
    for before, after in pairwise(rows):
        was, now = before.get("engines/healthy"), after.get("engines/healthy")
        if was is not None and now is not None and was != now:
            text = f"engines that serve: {was:.0f} -> {now:.0f}"
            yield Event(step=after["step"], kind="scaling", text=text)
        lost = (after.get("engines/restarts") or 0) - (before.get("engines/restarts") or 0)
        if lost > 0:
            text = f"{lost:.0f} engine(s) were lost and started anew"
            yield Event(step=after["step"], kind="engine", text=text)
    for row in rows:
        for key, words in _COUNTED.items():
            if row.get(key):
                yield Event(step=row["step"], kind="alarm", text=f"{row[key]:.0f} {words}")


_COUNTED = {
    "updates/skipped": "update(s) skipped: loss or gradient was not finite",
    "invalid/raised": "rollout(s) for which a reward raised an exception",
    "invalid/groups_dropped": "group(s) dropped: a sample stayed invalid",
}


def _checkpoints(folder: Path, rows: Sequence[dict[str, Any]]) -> Iterator[Event]:
    saved = {
        row["step"] - 1: f"checkpoint, {row['time/checkpoint']:.1f} s"
        for row in rows
        if row.get("time/checkpoint")
    }
    for path in sorted((folder / "checkpoints").glob("step_*")):
        number = path.name.removeprefix("step_")
        if number.isdigit():
            saved.setdefault(int(number), "checkpoint")
    for step, text in saved.items():
        yield Event(step=step, kind="checkpoint", text=text)


def _notes(folder: Path) -> Iterator[Event]:
    for row in _noted(folder / NOTES):
        text = row["text"].replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")
        kind = next((kind for sign, kind in _KINDS if sign in text), None)
        if kind is not None:
            of = _STEP.match(text)  # an alarm may be told when the next step has begun
            yield Event(step=int(of[1]) if of else row["step"], kind=kind, text=text)


def _noted(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of notes.jsonl; a line that a killed run left half written hides no other."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)


def _end(folder: Path, rows: Sequence[dict[str, Any]]) -> Iterator[Event]:
    last = rows[-1]["step"]
    if (folder / RESULT).is_file():
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        for text in result.get("early_ends", []):
            yield Event(step=last, kind="stage", text=text)
    state = read_state(folder)
    if state is not None and state.state in ("stopped", "failed", "killed"):
        text = f"{state.state}: {state.cause.splitlines()[0]}" if state.cause else state.state
        yield Event(step=last, kind="end", text=text)
