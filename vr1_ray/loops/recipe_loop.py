"""A recipe: runs chained in order (data -> base evaluation -> cold start -> RL), and one summary of them all.

A step that is finished already is kept and said so (`checkpoint.resume=never` starts over), so a recipe
that was stopped goes on where it was. `vr1 run configs/quickstart.yaml`.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vr1_ray.config import RunConfig, check_config, recipe_runs
from vr1_ray.config.objects import NO_OBJECTS, Objects, named
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
from vr1_ray.runs.closing import CURVES, closing_lines
from vr1_ray.runs.figures import HELD_OUT_FIGURES
from vr1_ray.runs.lock import held
from vr1_ray.runs.run_folder import EVALUATIONS, METRICS, finished_result, write_json
from vr1_ray.runs.run_state import begin, now_running, recorded
from vr1_ray.runs.stopping import StopSignal


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


def summarise(
    recipe: RunConfig, runs: list[RunConfig], results: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The five figures by policy, the stages of the RL run, and the seconds of each step."""
    evaluations = [content for config in runs for content in evaluations_of(config.folder)]
    summary: dict[str, Any] = {"name": recipe.name, "seed": recipe.seed}
    for figure in HELD_OUT_FIGURES:
        summary[figure] = {
            content["label"]: content["metrics"][figure]
            for content in evaluations
            if figure in content["metrics"]
        }
    summary["benchmarks"] = {
        content["label"]: {
            name: value
            for name, value in content["metrics"].items()
            if name not in HELD_OUT_FIGURES
        }
        for content in evaluations
    }
    summary["num_prompts"] = {content["label"]: len(content["rows"]) for content in evaluations}
    summary["errors"] = {
        content["label"]: dict(
            Counter(row["error"] for row in content["rows"] if "error" in row).most_common()
        )
        for content in evaluations
    }
    summary["stages"] = [stage for result in results.values() for stage in result.get("stages", [])]
    summary["early_ends"] = [
        end for result in results.values() for end in result.get("early_ends", [])
    ]
    summary["wall_seconds"] = {
        name: result.get("wall_seconds", 0.0) for name, result in results.items()
    }
    return summary


def evaluations_of(run_folder: Path) -> list[dict[str, Any]]:
    """The evaluations a run left, oldest first; those in between (`step_...`) stay in their run folder."""
    paths = sorted((run_folder / EVALUATIONS).glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in paths
        if not path.stem.startswith("step_")
    ]


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
    report = write_report(recipe.folder, summary, curves, examples)
    paths = [recipe.folder / "summary.json", *curves, report]
    print("\n" + "\n".join(str(path) for path in paths if path.is_file()), flush=True)
    if examples:
        print(f"note: {report} holds prompts, pictures and responses, for all who may read it")


def examples_of(
    evaluations: list[dict[str, Any]],
    runs: list[RunConfig],
    objects: Objects,
    num_examples: int = 12,
) -> list[dict]:
    """The first questions with every policy's response, for the report."""
    from vr1_ray.data import load_prompts

    config = next((config for config in runs if config.eval.data), None)
    evaluations = [content for content in evaluations if content["rows"]]
    if config is None or not evaluations:
        return []
    prompts = {
        prompt.prompt_id: prompt
        for prompt in load_prompts(
            config.data_here, named(config.eval.data, objects, "eval.data"), config.eval.split
        )
    }
    examples = []
    for position in range(min(num_examples, len(evaluations[0]["rows"]))):
        rows = {content["label"]: content["rows"][position] for content in evaluations}
        first = next(iter(rows.values()))
        responses = {
            label: (row["response"], bool(row["correct"]), row["response_tokens"])
            for label, row in rows.items()
        }
        examples.append({"prompt": prompts[first["prompt_id"]], "responses": responses})
    return examples
