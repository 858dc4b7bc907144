"""The result of a run as a table for the terminal, and the rows that the HTML page shows too."""

import math
from typing import Any

_ROWS = (
    ("accuracy", "accuracy", "{:.3f}"),
    ("hard_reward", "hard format reward", "{:.3f}"),
    ("format_rate", "format rate", "{:.3f}"),
    ("mean_response_tokens", "response tokens, mean", "{:.1f}"),
    ("truncation_rate", "truncation rate", "{:.3f}"),
)
_LABELS = ("base", "cold_start", "rl")


def result_rows(summary: dict[str, Any]) -> list[list[str]]:
    """Header and rows of the table; a metric or a policy that the summary does not have is left out.

    Below the run's own figures stand the headlines of its benchmarks, in the order they were asked.
    """
    figures = [(name, summary.get(key, {}), form) for key, name, form in _ROWS]
    figures += [(name, values, "{:.3f}") for name, values in _headlines(summary).items()]
    present = {label for _, values, _ in figures for label in values}
    labels = [label for label in _LABELS if label in present] + sorted(present - set(_LABELS))
    rows = [["", *(label.replace("_", " ") for label in labels)]]
    for name, by_label, form in figures:
        if by_label:
            values = [by_label.get(label) for label in labels]
            rows.append([name, *(_shown(value, form) for value in values)])
    return rows


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else form.format(value)


def _headlines(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """A benchmark's first score by policy; its others, named after it with a slash, have a table of their own."""
    found: dict[str, dict[str, float]] = {}
    for label, scores in summary.get("benchmarks", {}).items():
        for name, value in scores.items():
            if "/" not in name:
                found.setdefault(name, {})[label] = value
    return found


def stage_lines(summary: dict[str, Any]) -> list[str]:
    """One line per stage with the steps it had, the early ends of stages, and one line with the wall time of each part."""
    lines = []
    for number, stage in enumerate(summary.get("stages", []), start=1):
        planned, seen = stage["steps"], stage.get("steps_seen", stage["steps"])
        steps = f"{planned}" if seen == planned else f"{seen} of {planned}"
        lines.append(
            f"stage {stage.get('number', stage.get('stage', number))}: {steps} steps, at most "
            f"{stage['max_response_tokens']} tokens x {stage['group_size']} responses"
        )
    lines += summary.get("early_ends", [])
    seconds = dict(summary.get("wall_seconds", {}))
    total = seconds.pop("total", None)
    parts = ", ".join(f"{name.replace('_', ' ')} {value:.0f} s" for name, value in seconds.items())
    if total is not None:
        lines.append(f"wall time: {total:.0f} s" + (f" ({parts})" if parts else ""))
    return lines


def result_table(summary: dict[str, Any]) -> str:
    """The summary of a run as text: base, cold start and RL side by side.

    Example:
        result_table({"accuracy": {"base": 0.62, "cold_start": 0.55, "rl": 0.95}, "stages": [],
                      "wall_seconds": {"total": 700.0}})
    """
    rows = result_rows(summary)
    if len(rows) == 1:  # nothing was evaluated
        return "\n".join(stage_lines(summary))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(max(width, 10))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(len(line) for line in lines)
    return "\n".join([lines[0], rule, *lines[1:], rule, *stage_lines(summary)])
