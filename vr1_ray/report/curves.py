"""The curves of an RL run as a PNG: four panels over steps, with the PTST stages shaded and labelled.

It reads `metrics.jsonl` alone, so it can be drawn while the run goes on, or years later.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

_BLUE, _ORANGE, _GREEN, _RED, _INK = "#2563eb", "#ea8a0c", "#16803c", "#c2322d", "#334155"
_STAGE_SHADES = ("#eef2fb", "#fdf3e3", "#ebf6ee")
_STYLE: Any = {
    "font.size": 10,
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def plot_curves(metrics_jsonl: Path, png: Path, title: str = "") -> Path:
    """Draws reward, length, truncation and informative groups over steps, and returns the picture's path."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    rows = _read(Path(metrics_jsonl))
    spans = stage_spans(rows)
    with rc_context(_STYLE):
        figure = Figure(figsize=(11, 6.6), dpi=130, layout=ConstrainedLayoutEngine(hspace=0.06))
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, 2, sharex=True).ravel()
        panels = (_plot_reward, _plot_length, _plot_truncation, _plot_informative)
        for axis, plot in zip(axes, panels, strict=True):
            _shade_stages(axis, spans)
            plot(axis, rows)
            axis.grid(axis="y", color="#cbd5e1", linewidth=0.6, alpha=0.7)
            axis.set_axisbelow(True)
            axis.set_xlim(rows[0]["step"] - 0.5, rows[-1]["step"] + 0.5)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.tick_params(labelbottom=True, length=3)
        for axis in (axes[0], axes[2], axes[3]):
            axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes[0].set_ylim(-0.02, 1.06)
        axes[3].set_ylim(-0.02, 1.06)
        for axis in axes[2:]:
            axis.set_xlabel("step")
        if title:
            figure.suptitle(title, fontsize=13, color=_INK, x=0.012, ha="left", fontweight="bold")
        png = Path(png)
        png.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(png)
    return png


def stage_spans(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The unbroken spans of one stage: its first and last step, number, budget and group size.

    Example:
        stage_spans([{"step": 1, "stage": 1, "max_response_tokens": 96, "group_size": 16}])
        # [{"first": 1, "last": 1, "stage": 1, "max_response_tokens": 96, "group_size": 16}]
    """
    spans: list[dict[str, Any]] = []
    keys = ("stage", "max_response_tokens", "group_size")
    for row in rows:
        if row.get("stage") is None:
            continue
        setting = {key: row.get(key) for key in keys}
        if spans and all(spans[-1][key] == setting[key] for key in keys):
            spans[-1]["last"] = row["step"]
        else:
            spans.append({"first": row["step"], "last": row["step"], **setting})
    return spans


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.strip().endswith("}")]
    if not rows:
        raise ValueError(
            f"metrics: {path} has no rows to draw; give the metrics.jsonl of a run that made a step"
        )
    return sorted(rows, key=lambda row: row["step"])


def _shade_stages(axis: Any, spans: list[dict[str, Any]]) -> None:
    """A shade per stage, and its label above the panel's frame, so that it covers no curve."""
    for number, span in enumerate(spans):
        shade = _STAGE_SHADES[number % len(_STAGE_SHADES)]
        axis.axvspan(span["first"] - 0.5, span["last"] + 0.5, color=shade, zorder=0, linewidth=0)
        axis.text(
            (span["first"] + span["last"]) / 2,
            1.015,
            f"stage {span['stage']}: {span['max_response_tokens']} tokens x {span['group_size']}",
            transform=axis.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=8,
            color="#64748b",
        )
    for _, after in pairwise(spans):
        axis.axvline(
            after["first"] - 0.5, color="#64748b", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1
        )


def _line(
    axis: Any, rows: list[dict[str, Any]], key: str, colour: str, label: str, *, thin: bool = False
) -> None:
    """One metric: a running mean over a twentieth of the run, and the raw values faintly behind it."""
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    if not points:
        return
    steps, values = zip(*points, strict=True)
    width = max(len(values) // 20, 1)
    means = [
        sum(values[max(i - width + 1, 0) : i + 1]) / len(values[max(i - width + 1, 0) : i + 1])
        for i in range(len(values))
    ]
    if width > 1 and not thin:
        axis.plot(steps, values, color=colour, linewidth=0.8, alpha=0.28)
    marker = "o" if len(values) < 3 else None
    axis.plot(
        steps,
        values if thin else means,
        color=colour,
        linewidth=1.0 if thin else 2.0,
        label=label,
        marker=marker,
    )


def _legend(axis: Any) -> None:
    """Beside the title, where no curve can run through it."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            loc="lower right",
            bbox_to_anchor=(1.01, 1.05),
            ncols=3,
            columnspacing=1.2,
            handlelength=1.6,
        )


def _plot_reward(axis: Any, rows: list[dict[str, Any]]) -> None:
    axis.set_title("Reward and accuracy", pad=20)
    _line(axis, rows, "format_rate", _ORANGE, "format", thin=True)
    _line(axis, rows, "accuracy", _GREEN, "accuracy")
    _line(axis, rows, "reward/mean", _BLUE, "reward")
    _legend(axis)


def _plot_length(axis: Any, rows: list[dict[str, Any]]) -> None:
    axis.set_title("Response length (tokens)", pad=20)
    _line(axis, rows, "response_tokens/max", _ORANGE, "longest", thin=True)
    _line(axis, rows, "response_tokens/mean", _BLUE, "mean")
    caps = [
        (row["step"], row["max_response_tokens"]) for row in rows if row.get("max_response_tokens")
    ]
    if caps:
        steps, values = zip(*caps, strict=True)
        axis.step(
            steps,
            values,
            where="mid",
            color=_RED,
            linewidth=1.4,
            linestyle="--",
            label="budget",
        )
        axis.set_ylim(0, max(values) * 1.12)
    _legend(axis)


def _plot_truncation(axis: Any, rows: list[dict[str, Any]]) -> None:
    axis.set_title("Truncated responses", pad=20)
    _line(axis, rows, "truncation_rate", _RED, "truncation rate")
    rates = [row["truncation_rate"] for row in rows if row.get("truncation_rate") is not None]
    axis.set_ylim(0, max(0.1, min(1.0, max(rates, default=0.0) * 1.15)))


def _plot_informative(axis: Any, rows: list[dict[str, Any]]) -> None:
    axis.set_title("Informative groups (rewards differ)", pad=20)
    _line(axis, rows, "informative_group_rate", _GREEN, "informative group rate")
