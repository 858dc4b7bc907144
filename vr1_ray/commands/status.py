"""How a run is doing, read from its folder by any process: `vr1 status RUN`. Without Ray, without the run.

A recipe is shown as one line a step of it, and the whole screen of the one that changed last.
"""

import json
import time
from pathlib import Path
from typing import Any

from vr1_ray.config import ConfigError, RunConfig, load_config
from vr1_ray.curriculum import make_curriculum
from vr1_ray.runs.checkpoints import Checkpoint, Checkpoints, TornCheckpointsError
from vr1_ray.runs.closing import closing_lines
from vr1_ray.runs.figures import STEP_FIGURES, shown
from vr1_ray.runs.lock import holder
from vr1_ray.runs.run_folder import CONFIG, METRICS, RESULT
from vr1_ray.runs.run_state import ERROR_LOG, STATE, RunState, read_state
from vr1_ray.tracking.jsonl import read_rows
from vr1_ray.tracking.sinks import format_seconds
from vr1_ray.wording import did_you_mean


def status_text(run: str, *, runs_folder: str = "runs") -> str:
    """The screen of a run, given its folder or its name in `runs_folder`.

    Raises ConfigError, listing the runs there are, if there is no such run.
    """
    folder = find_run(run, Path(runs_folder))
    steps = [] if is_run(folder) else [step for step in folder.iterdir() if is_run(step)]
    if not steps:
        return screen(folder)
    steps.sort(key=last_change)
    lines = [f"{step.name:<16} {summary(step)}" for step in steps]
    whole = read_state(folder)
    if whole is not None:
        lines.insert(0, f"state       {told(whole)}")
    return "\n".join([f"recipe      {folder}", *lines, "", screen(steps[-1])])


def find_run(run: str, runs_folder: Path) -> Path:
    """The folder of a run or recipe."""
    for folder in (runs_folder / run, Path(run)):
        if folder.is_dir() and (is_run(folder) or any(map(is_run, folder.iterdir()))):
            return folder
    known = known_runs(runs_folder)
    raise ConfigError(
        f"run {run!r} is neither a run folder nor a run in {runs_folder} (there: {', '.join(known) or 'none'}); "
        f"give one of these, or the folder with --runs_folder.{did_you_mean(run, known)}"
    )


def known_runs(runs_folder: Path) -> list[str]:
    """Names of the runs in a folder; those of a recipe's steps as RECIPE/STEP."""
    found = [
        path.parent for depth in ("*", "*/*") for path in runs_folder.glob(f"{depth}/{CONFIG}")
    ]
    return sorted(str(path.relative_to(runs_folder)) for path in found)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of one run."""
    return (folder / CONFIG).is_file() or (folder / RESULT).is_file()


def run_config(folder: Path) -> RunConfig | None:
    """The resolved config of a run; None for one that leaves none (drawing a dataset, a recipe)."""
    return load_config(folder / CONFIG) if (folder / CONFIG).is_file() else None


def last_change(folder: Path) -> float:
    """When the run last wrote something that is shown, in seconds of the epoch."""
    paths = (folder / name for name in (CONFIG, METRICS, RESULT, STATE))
    return max(path.stat().st_mtime for path in paths if path.is_file())


def screen(folder: Path) -> str:
    """All that is told of one run."""
    config = run_config(folder)
    rows = read_rows(folder / METRICS)
    checkpoints, found = checkpoint_lines(folder)
    lines = [("run", str(folder)), ("kind", kind_of(folder, config)), ("state", summary(folder))]
    state = read_state(folder)
    if state is not None and state.is_live:
        lines.append(("held by", str(holder(folder) or "")))
    if rows:
        total = total_steps(config, found)
        lines.append(("step", f"{rows[-1]['step']}/{total or '?'}{stage_of(rows[-1])}"))
        lines.append(("figures", figures_of(rows[-1])))
    lines += [("early end", end) for end in early_ends(folder, found)]
    lines += [("checkpoint", line) for line in checkpoints]
    lines.append(("logs", str(folder / "logs")))
    if state is not None and state.state == "failed":
        lines.append(("traceback", str((folder / ERROR_LOG).resolve())))
    text = "\n".join(f"{name:<11} {value}" for name, value in lines if value)
    if config is not None and (folder / RESULT).is_file():
        text = "\n".join([text, *closing_lines(config, read_result(folder))])
    return text


def summary(folder: Path) -> str:
    """How a run stands, in one line: how it ended and why, or how far it is."""
    state = read_state(folder)
    if state is not None and state.state != "finished":
        rows = read_rows(folder / METRICS)
        step = f"; step {rows[-1]['step']} was logged {age(folder / METRICS)} ago" if rows else ""
        return f"{told(state)}{step}"
    if (folder / RESULT).is_file():
        seconds = read_result(folder).get("wall_seconds")
        took = "" if seconds is None else f", took {format_seconds(seconds)}"
        return f"finished {age(folder / RESULT)} ago{took}"
    rows = read_rows(folder / METRICS)
    if not rows:
        return f"not finished; no step yet, started {age(folder / CONFIG)} ago"
    return f"not finished; step {rows[-1]['step']} was logged {age(folder / METRICS)} ago"


def told(state: RunState) -> str:
    """A state with its age and its cause, or with its process."""
    if state.is_live:
        why = f" (process {state.pid} on {state.host})"
    else:
        why = f": {state.cause}" if state.cause else ""
    since = "" if state.state == "killed" else f" {format_age(state.since)} ago"
    since = f" for{since.removesuffix(' ago')}" if state.is_live else since
    return f"{state.state}{since}{why}"


def kind_of(folder: Path, config: RunConfig | None) -> str:
    """The kind of a run; drawing a dataset leaves a result but no config."""
    if config is not None:
        return config.kind
    state = read_state(folder)
    return state.kind if state is not None else read_result(folder)["kind"]


def total_steps(config: RunConfig | None, found: Checkpoint | None) -> int | None:
    """Steps of the whole run; None if only the data could tell and no checkpoint does."""
    if config is not None and config.kind == "rl":
        try:
            return make_curriculum(config.curriculum).total_steps
        except ValueError:  # one of the run's own, which can't be imported from here
            return sum(stage.steps for stage in config.curriculum.stages if stage.enabled) or None
    if found is not None:
        return found.state["total_steps"]
    return config.max_steps or None if config else None


def early_ends(folder: Path, found: Checkpoint | None) -> list[str]:
    """Stages that the curriculum left early, as the result or the newest checkpoint says."""
    if (folder / RESULT).is_file():
        return read_result(folder).get("early_ends", [])
    return found.state.get("early_ends", []) if found else []


def stage_of(row: dict[str, Any]) -> str:
    """The stage of a step, where a run has stages."""
    if "stage" not in row:
        return ""
    return f", stage {row['stage']} ({row['max_response_tokens']} tokens x {row['group_size']})"


def figures_of(row: dict[str, Any]) -> str:
    """The figures of a step that the screen has room for."""
    shown = [
        f"{label} {form.format(row[key])}"
        for key, label, form in STEP_FIGURES
        if row.get(key) is not None
    ]
    return ", ".join(shown)


def checkpoint_lines(folder: Path) -> tuple[list[str], Checkpoint | None]:
    """What is told of the checkpoints, and the newest that has all its files in full size."""
    try:
        found = Checkpoints(folder).latest(with_checksums=False)
    except TornCheckpointsError as error:
        return str(error).splitlines(), None
    if found is None:
        return ["none"], None
    lines = [*found.skipped, f"step {found.step}, {age(found.folder)} ago, {found.folder}"]
    best = found.state["best"]
    if best:
        [(figure, value)] = [item for item in best.items() if item[0] != "step"]
        lines.append(f"best of step {best['step']}, {figure} {shown(value)}")
    return lines, found


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished run left."""
    return json.loads((folder / RESULT).read_text(encoding="utf-8"))


def age(path: Path) -> str:
    """How long ago something was written: 12 s, 2:51, 1:02:51."""
    return format_age(path.stat().st_mtime)


def format_age(then: float) -> str:
    """How long ago a time of the epoch was."""
    seconds = max(0.0, time.time() - then)
    return f"{seconds:.0f} s" if seconds < 60 else format_seconds(seconds)
