"""The curves of a report: which metrics stand in which panel, for plotly.js in the page to draw.

A panel that no run has a figure for is left out. Names of metrics: tracking/METRICS.md.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vr1_ray.report.curves import stage_spans
from vr1_ray.report.records import ReportedRun


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line of a panel: a metric, its name, and how it is drawn (line, thin, cap, marks, dots, area).

    Example:
        Series(key="accuracy", label="accuracy")
    """

    key: str
    label: str
    style: str = "line"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A titled panel; `axis` is share, log, or plain. One with areas is drawn for each run by itself.

    Example:
        Panel(title="Accuracy", axis="share", series=(Series(key="accuracy", label="accuracy"),))
    """

    title: str
    series: tuple[Series, ...]
    axis: str = "plain"
    unit: str = ""


def _one(
    title: str, key: str, label: str = "", *, axis: str = "plain", unit: str = "", also: Any = ()
) -> Panel:
    return Panel(
        title=title,
        series=(Series(key=key, label=label or title.lower()), *also),
        axis=axis,
        unit=unit,
    )


PANELS = (
    _one("Reward", "reward/mean", "mean"),
    _one(
        "Accuracy",
        "accuracy",
        "sampled",
        axis="share",
        also=(Series(key="evaluation/accuracy", label="held-out", style="marks"),),
    ),
    _one("Format", "format_rate", axis="share"),
    _one(
        "Response length",
        "response_tokens/mean",
        "mean",
        unit="tokens",
        also=(
            Series(key="response_tokens/max", label="longest", style="thin"),
            Series(key="max_response_tokens", label="cap", style="cap"),
        ),
    ),
    _one("Truncated responses", "truncation_rate", axis="share"),
    _one("Informative groups", "informative_group_rate", axis="share"),
    _one("Distance to the reference", "kl", "KL", unit="nats per token"),
    _one("Clipped tokens", "clip_fraction", axis="share"),
    _one("Entropy", "entropy", unit="nats per token"),
    _one("Loss", "loss", unit="nats"),
    _one(
        "Engine and trainer apart",
        "logprob_diff/mean",
        "mean",
        axis="log",
        unit="nats",
        also=(Series(key="logprob_diff/p99", label="99 of 100 within", style="thin"),),
    ),
    _one("Throughput", "tokens_per_second", unit="tokens/s"),
    Panel(
        title="Step time",
        unit="s",
        series=(
            Series(key="time/generate", label="generate", style="area"),
            Series(key="time/blindness", label="blindness probe", style="area"),
            Series(key="time/reference", label="reference", style="area"),
            Series(key="time/train", label="train", style="area"),
            Series(key="time/sync", label="sync", style="area"),
            Series(key="time/rest", label="rest", style="area"),
            Series(key="time/reward_hidden", label="rewards, beside generation", style="dots"),
            Series(key="time/checkpoint", label="checkpoint, between steps", style="marks"),
            Series(key="time/evaluation", label="evaluation, between steps", style="marks"),
        ),
    ),
)
_IN_STEP = ("time/generate", "time/blindness", "time/reference", "time/train", "time/sync")


def curves_of(run: ReportedRun) -> dict[str, Any]:
    """What the page draws of a run: steps, stages, events, and the figures of all panels by name, null where none is."""
    rows = [_with_parts(row) for row in run.rows]
    keys = {one.key for panel in PANELS for one in panel.series}
    figures = {key: [_figure(row.get(key)) for row in rows] for key in sorted(keys)}
    return {
        "steps": [row["step"] for row in rows],
        "spans": stage_spans(rows),
        "events": [asdict(event) for event in run.events],
        "figures": {key: values for key, values in figures.items() if set(values) != {None}},
    }


def panels_of(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The panels, and of each the lines, that any of these runs (`curves_of`) has figures for."""
    measured = {key for run in runs for key in run["figures"]}
    found = []
    for panel in PANELS:
        series = [asdict(one) for one in panel.series if one.key in measured]
        if any(one["style"] in ("line", "area") for one in series):
            found.append({**asdict(panel), "series": series})
    return found


def _with_parts(row: dict[str, Any]) -> dict[str, Any]:
    """With what follows from a row: the time of a step that no part explains, and what sampling hid of the rewards."""
    known = {key: _figure(row.get(key)) for key in (*_IN_STEP, "time/step", "time/reward")}
    parts = {}
    if known["time/step"] is not None and known["time/generate"] is not None:
        spent = sum(known[key] or 0.0 for key in _IN_STEP)
        parts["time/rest"] = max(known["time/step"] - spent, 0.0)
    if known["time/reward"] is not None:
        exposed = _figure(row.get("time/reward_exposed")) or 0.0
        parts["time/reward_hidden"] = max(known["time/reward"] - exposed, 0.0)
    return {**row, **parts}


def _figure(value: object) -> float | None:
    """Five digits are more than a screen shows."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")
