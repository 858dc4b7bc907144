"""The runs of a folder in one table: `vr1 runs [FOLDER]`. Read from their folders, without Ray and without the runs."""

from pathlib import Path

from vr1_ray.commands.status import (
    checkpoint_lines,
    format_age,
    kind_of,
    last_change,
    read_result,
    run_config,
    total_steps,
)
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.figures import shown
from vr1_ray.runs.run_folder import CONFIG, METRICS, RESULT
from vr1_ray.runs.run_state import STATE, state_word
from vr1_ray.tracking.jsonl import read_rows

HEADER = ("run", "kind", "state", "step", "best", "last change")


def runs_text(runs_folder: Path) -> str:
    """One line a run, the one that changed last at the end. Raises ConfigError for what is no folder, or holds none."""
    if not runs_folder.is_dir():
        raise ConfigError(f"folder: {str(runs_folder)!r} is none; give the folder of your runs")
    folders = found_runs(runs_folder)
    if not folders:
        raise ConfigError(
            f"folder: {str(runs_folder)!r} holds no run yet; start one, such as `vr1 run CONFIG`, or give its folder"
        )
    rows = [HEADER, *(_row(folder, runs_folder) for folder in sorted(folders, key=last_change))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", f"next: vr1 status {runs_folder}/RUN"])


def found_runs(runs_folder: Path) -> list[Path]:
    """The folders of all runs, those of a recipe's steps and the recipe itself too."""
    marks = (CONFIG, RESULT, STATE)
    return list(
        dict.fromkeys(
            path.parent
            for mark in marks
            for depth in ("*", "*/*")
            for path in sorted(runs_folder.glob(f"{depth}/{mark}"))
        )
    )


def _row(folder: Path, runs_folder: Path) -> tuple[str, ...]:
    name = str(folder.relative_to(runs_folder))
    age = format_age(last_change(folder))
    try:
        config = run_config(folder)
        found = checkpoint_lines(folder)[1]
        return (
            name,
            kind_of(folder, config),
            state_word(folder),
            _step(folder, config, found),
            _best(folder, found),
            f"{age} ago",
        )
    except (ValueError, KeyError, OSError) as error:  # one run that can't be read hides no other
        return (name, "-", f"can't be read: {error!s:.60}".split("\n")[0], "-", "-", f"{age} ago")


def _step(folder: Path, config: RunConfig | None, found: Checkpoint | None) -> str:
    rows = read_rows(folder / METRICS)
    if not rows:
        return "-"
    return f"{rows[-1]['step']}/{total_steps(config, found) or '?'}"


def _best(folder: Path, found: Checkpoint | None) -> str:
    """The best evaluation of a training run, the accuracy of an evaluation on its own; "-" where nothing measured it."""
    result = read_result(folder) if (folder / RESULT).is_file() else {}
    best = result.get("best") or (found.state.get("best") if found else None) or {}
    measured = {key: best[key] for key in best if key not in ("step", "checkpoint")}
    if not measured and "accuracy" in result.get("metrics", {}):
        measured = {"accuracy": result["metrics"]["accuracy"]}
    for name, value in measured.items():
        return f"{name} {shown(value)}" + (f" (step {best['step']})" if "step" in best else "")
    return "-"
