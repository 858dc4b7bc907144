"""What a report is made from: one record a run, filled by `runs/reporting.py`. Nothing here reads a run folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vr1_ray.types import RolloutGroup

# From the token ids and the text of a response: how many characters each token covers; None if they don't meet.
TokenWidths = Callable[[Sequence[int], str], list[int] | None]


def no_widths(ids: Sequence[int], text: str) -> list[int] | None:
    """For a run whose tokenizer is not there: no token colours."""
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened in a run, at a step: stage, start, scaling, engine, checkpoint, alarm, end.

    Example:
        Event(step=3, kind="stage", text="stage 2: up to 48 tokens, groups of 2")
    """

    step: int
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingValue:
    """A key of the resolved config: its value and its default, as JSON texts; `default` is "" where there is none.

    Example:
        SettingValue(key="trainer.optimizer.lr", value="5e-05", default="1e-06", is_changed=True)
    """

    key: str
    value: str
    default: str
    is_changed: bool


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """One run of a report. `groups` reads the saved groups, step by step, anew at each call.

    Example:
        ReportedRun(name="demo", kind="rl", state="finished", rows=[{"step": 1, "reward/mean": 0.5}])
    """

    name: str
    kind: str
    state: str
    rows: Sequence[dict[str, Any]]  # of metrics.jsonl
    events: Sequence[Event] = ()
    settings: Sequence[SettingValue] = ()
    groups: Callable[[], Iterator[Sequence[RolloutGroup]]] = field(default=lambda: iter(()))
    token_widths: TokenWidths = no_widths
    saving: str = ""  # how many groups the run kept, in words
