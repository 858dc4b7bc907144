"""`vr1 report RUN [RUN ...]`: the page of one run or recipe, or of several side by side, at any time, without Ray.

`vr1 compare RUN RUN ...` prints their figures as a table and writes the same page.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.commands.status import (
    find_run,
    is_run,
    kind_of,
    last_change,
    read_json,
    read_result,
    run_config,
)
from vr1_ray.config import ConfigError, RunConfig, load_config
from vr1_ray.config.objects import NO_OBJECTS
from vr1_ray.report import result_table, write_report
from vr1_ray.report.page import MAX_MB
from vr1_ray.report.records import ReportedRun
from vr1_ray.runs.closing import REPORT
from vr1_ray.runs.examples import examples_of
from vr1_ray.runs.figures import STEP_FIGURES, shown
from vr1_ray.runs.reporting import reported_runs
from vr1_ray.runs.run_folder import CONFIG, RESULT
from vr1_ray.runs.run_state import read_state
from vr1_ray.runs.summary import evaluations_of, summarise

_TABLES = ("accuracy", "hard_reward", "format_rate", "mean_response_tokens", "truncation_rate")


def report(
    names: Sequence[str], *, runs_folder: str = "runs", to: str = "", max_mb: float = MAX_MB
) -> Path:
    """Write the page of these runs and return its path: in the folder of the run, of several in the current one.

    Raises ConfigError for a run that is not there or made no step, and for a size that is no size.
    """
    if not max_mb > 0:
        raise ConfigError(f"--max_mb: {max_mb:g} is no size of a page; give megabytes, such as 40")
    tops = _tops(names, runs_folder)
    runs = [run for top in tops for run in _runs(top, is_alone=len(tops) == 1)]
    examples = _examples(tops[0]) if len(tops) == 1 else []
    path = Path(to) if to else (tops[0] / REPORT if len(tops) == 1 else Path(REPORT))
    if path.is_dir():
        raise ConfigError(f"--to: {to} is a folder; give the page's file, such as {path / REPORT}")
    title = " and ".join(top.name for top in tops)
    return write_report(path, runs, _summary(tops), examples, title=title, max_mb=max_mb)


def comparison(names: Sequence[str], *, runs_folder: str = "runs") -> str:
    """Held-out figures of each run, and the figures of its last step."""
    tops = _tops(names, runs_folder)
    runs = [run for top in tops for run in _runs(top, is_alone=False)]
    head = ["last step", *(run.name for run in runs)]
    rows = [head, ["step", *(str(run.rows[-1]["step"]) for run in runs)]]
    for key, label, form in STEP_FIGURES:
        if any(run.rows[-1].get(key) is not None for run in runs):
            rows.append([label, *(shown(run.rows[-1].get(key), form) for run in runs)])
    summary = _summary(tops)
    parts = [result_table(summary)] if any(summary.get(name) for name in _TABLES) else []
    return "\n\n".join([*parts, _aligned(rows)])


def _tops(names: Sequence[str], runs_folder: str) -> list[Path]:
    tops = [find_run(name, Path(runs_folder)) for name in names]
    twice = next((top for top in tops if tops.count(top) > 1), None)
    if twice is not None:
        raise ConfigError(f"run: {twice} is named twice; name each run once")
    return tops


def _folders(top: Path) -> list[Path]:
    """The run itself, or the runs of a recipe, oldest first."""
    if is_run(top):
        return [top]
    return sorted((step for step in top.iterdir() if is_run(step)), key=last_change)


def _runs(top: Path, *, is_alone: bool) -> list[ReportedRun]:
    runs = reported_runs(_folders(top), top)
    if not runs:
        raise ConfigError(_why_no_steps(top))
    if is_alone:
        return runs
    return [
        replace(run, name=top.name if run.name == top.name else f"{top.name}/{run.name}")
        for run in runs
    ]


def _why_no_steps(top: Path) -> str:
    """What is said of a run without a step, and the cure: others have none, it will have, or it ended before."""
    folders = _folders(top)
    kinds = {kind_of(folder, run_config(folder)) for folder in folders}
    told = f"vr1 status {top}"
    if not kinds & {"sft", "rl"}:
        named = ", ".join(sorted(kinds))
        return f"run: {top} is of kind {named}, which makes no steps; `{told}` says what it has"
    states = [state for folder in folders if (state := read_state(folder)) is not None]
    if any(state.is_live for state in states):
        return f"run: {top} has no step to report yet; wait for its first (`{told}` shows how far it is)"
    return f"run: {top} has no step to report, and no process is at it; start it again (`{told}` says how it ended)"


def _configs(top: Path) -> list[RunConfig]:
    """Resolved configs, each with its folder where it stands now: runs are moved."""
    found = []
    for folder in _folders(top):
        if (folder / CONFIG).is_file():
            config = load_config(folder / CONFIG)
            config.name, config.runs_folder = folder.name, str(folder.parent)
            found.append(config)
    return found


def _summary(tops: Sequence[Path]) -> dict[str, Any]:
    """That of the one run or recipe; of several their held-out figures, each by the run's name."""
    if len(tops) == 1:
        return _summary_of(tops[0])
    merged: dict[str, Any] = {}
    for top in tops:
        own = _summary_of(top)
        for figure in (*_TABLES, "benchmarks"):
            for label, value in own.get(figure, {}).items():
                merged.setdefault(figure, {})[f"{top.name}: {label}"] = value
    return merged


def _summary_of(top: Path) -> dict[str, Any]:
    path = top / "summary.json"
    if path.is_file():
        return read_json(path)
    configs = _configs(top)
    if not configs:
        return {}
    results = {
        config.name: read_result(config.folder)
        for config in configs
        if (config.folder / RESULT).is_file()
    }
    return summarise(configs[-1], configs, results)


def _examples(top: Path) -> list[dict[str, Any]]:
    """Held-out questions, where their data is still there."""
    configs = _configs(top)
    evaluations = [content for config in configs for content in evaluations_of(config.folder)]
    try:
        return examples_of(evaluations, configs, NO_OBJECTS)
    except (ValueError, OSError, KeyError) as error:
        print(f"note: no held-out questions in the report: {str(error).splitlines()[0]}")
        return []


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
