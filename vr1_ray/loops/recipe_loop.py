"""A recipe: runs chained in order (data -> base evaluation -> cold start -> RL), and one summary of them all.

A step that is finished already is kept and said so (`checkpoint.resume=never` starts over), so a recipe
that was stopped goes on where it was. `vr1 run configs/quickstart.yaml`.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from vr1_ray.config import RunConfig, check_config, recipe_runs
from vr1_ray.config.objects import NO_OBJECTS, Objects
from vr1_ray.loops.bridge_loop import run_bridge
from vr1_ray.loops.eval_loop import read_elsewhere, read_held_out, run_eval
from vr1_ray.loops.figure_math_loop import run_figure_math
from vr1_ray.loops.filter_loop import run_filter
from vr1_ray.loops.rl_loop import run_rl
from vr1_ray.loops.sft_loop import run_sft
from vr1_ray.preflight import read_inputs
from vr1_ray.preflight.cold_start import run_ahead
from vr1_ray.report import plot_curves, result_table, write_report
from vr1_ray.rollout import check_engine
from vr1_ray.runs.closing import CURVES, REPORT, closing_lines
from vr1_ray.runs.examples import examples_of
from vr1_ray.runs.lock import held
from vr1_ray.runs.reporting import reported_runs
from vr1_ray.runs.run_folder import METRICS, finished_result, write_json
from vr1_ray.runs.run_state import begin, now_running, recorded
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.runs.summary import evaluations_of, summarise


def _figure_math(
    config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS
) -> dict[str, Any]:
    return run_figure_math(config, stop)


def _bridge(config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS) -> dict[str, Any]:
    return run_bridge(config, stop)


def _sft(
    config: RunConfig,
    stop: StopSignal,
    objects: Objects = NO_OBJECTS,
    ahead: RunConfig | None = None,
) -> dict[str, Any]:
    return run_sft(config, read_inputs(config, objects, ahead=ahead), stop)


def _rl(config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS) -> dict[str, Any]:
    check_engine(config.rollout)
    inputs = read_inputs(config, objects)
    return run_rl(config, inputs, read_held_out(config, inputs), stop)


def _eval(config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS) -> dict[str, Any]:
    if not config.eval.is_elsewhere:
        check_engine(config.rollout)
        return run_eval(config, read_held_out(config, read_inputs(config, objects)), stop)
    check_config(config)
    return run_eval(config, read_elsewhere(config), stop)


def _filter(config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS) -> dict[str, Any]:
    check_engine(config.rollout)
    return run_filter(config, read_inputs(config, objects), stop)


# What a kind reads is read here, once, and handed down to its loop.
RUNS: dict[str, Callable[[RunConfig, StopSignal, Objects], dict[str, Any]]] = {
    "figure_math": _figure_math,
    "bridge": _bridge,
    "sft": _sft,
    "rl": _rl,
    "eval": _eval,
    "filter": _filter,
}


def run_one(
    config: RunConfig,
    stop: StopSignal,
    objects: Objects = NO_OBJECTS,
    *,
    ahead: RunConfig | None = None,
) -> dict[str, Any]:
    """Run a single config of any kind but recipe, or return its result if it is finished already.

    `objects` are what Python hands over in the place of names (`vr1_ray.run`). `ahead`: the RL run that a cold start
    is made for, in a recipe the next one.
    """
    # A filter goes on from its pass rates, also with another window: it asks nothing that it knows.
    result = None if config.kind == "filter" else finished_result(config)
    if result is not None:
        print(
            f"{config.name}: finished already in {config.folder}; checkpoint.resume=never starts over",
            flush=True,
        )
        return result
    print(f"{config.name}: {config.kind} in {config.folder}; reading what it needs", flush=True)
    with _held(config), recorded(config), stop.interruptible():
        if config.kind == "sft":
            return _sft(config, stop, objects, ahead)
        return RUNS[config.kind](config, stop, objects)


def _held(config: RunConfig) -> AbstractContextManager[object]:
    return held(config.folder, is_shared=config.tracking.share)


def run_alone(config: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS) -> dict[str, Any]:
    """Run a single config, leave curves and a report of an RL run, and say where everything is."""
    result = run_one(config, stop, objects)
    if config.kind == "rl":
        summary = summarise(config, [config], {config.name: result})
        show(config, [config], summary, objects)
    print("\n" + "\n".join(closing_lines(config, result)), flush=True)
    return result


def run_recipe(
    recipe: RunConfig, stop: StopSignal, objects: Objects = NO_OBJECTS
) -> dict[str, Any]:
    """Run every step and write summary.json, curves.png and report.html. Returns the summary."""
    runs = recipe_runs(recipe)
    for config in runs:
        check_config(config)
    began = time.monotonic()
    results = {}
    with _held(recipe), recorded(recipe):
        begin(recipe)
        now_running(recipe)
        for number, config in enumerate(runs, start=1):
            step_name = config.name.removeprefix(f"{recipe.name}/")
            print(f"\n== {number}/{len(runs)} {step_name} ({config.kind}) ==", flush=True)
            ahead = run_ahead(runs, config)
            results[step_name] = run_one(config, stop, objects, ahead=ahead)
        summary = summarise(recipe, runs, results)
        summary["wall_seconds"]["total"] = time.monotonic() - began
        write_json(recipe.folder / "summary.json", summary)
        show(recipe, runs, summary, objects)
    print("\n" + "\n".join(closing_lines(runs[-1], results[step_name])), flush=True)
    return summary


def show(
    recipe: RunConfig, runs: list[RunConfig], summary: dict[str, Any], objects: Objects
) -> None:
    """Print the table and draw the pictures. One that can't be drawn, or written to a full disk, is no failure of the run."""
    try:
        _show(recipe, runs, summary, objects)
    except (OSError, ValueError) as error:
        print(f"note: no report was written: {error}", flush=True)


def _show(
    recipe: RunConfig, runs: list[RunConfig], summary: dict[str, Any], objects: Objects
) -> None:
    print("\n" + result_table(summary))
    curves = []
    for config in runs:
        metrics = config.folder / METRICS
        if config.kind == "rl" and metrics.is_file():
            curves.append(recipe.folder / CURVES)
            plot_curves(metrics, curves[-1])
    evaluations = [content for config in runs for content in evaluations_of(config.folder)]
    examples = examples_of(evaluations, runs, objects)
    report = write_report(
        recipe.folder / REPORT,
        reported_runs([config.folder for config in runs], recipe.folder),
        summary,
        examples,
        title=recipe.name,
    )
    paths = [recipe.folder / "summary.json", *curves, report]
    print("\n" + "\n".join(str(path) for path in paths if path.is_file()), flush=True)
    if examples:
        print(f"note: {report} holds prompts, pictures and responses, for all who may read it")
