"""Evaluation through the run's own engines: held-out prompts (`eval.data`) and benchmarks. `vr1 eval CONFIG`.

How benchmarks are asked, judged and written is in `benchmark_loop.py`.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.curriculum import make_curriculum
from vr1_ray.loops.benchmark_loop import (
    BenchmarkSet,
    ask,
    figure_names,
    judge_and_write,
    make_judge,
    read_benchmarks,
    start_over,
    unanswered,
)
from vr1_ray.loops.measures import evaluation_metrics, judged
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.preflight import check_inputs, read_eval_prompts
from vr1_ray.runs.figures import HELD_OUT_FIGURES
from vr1_ray.runs.run_folder import EVALUATIONS, open_run, write_json, write_result
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.types import Prompt, SamplingSpec


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a run evaluates on: prompts of `eval.data`, benchmarks, or both.

    Example:
        held_out = read_held_out(config, adapter)
        held_out.max_response_tokens     # eval.max_response_tokens, else the longest stage's
    """

    prompts: list[Prompt]
    benchmarks: BenchmarkSet | None
    max_response_tokens: int


def read_held_out(config: RunConfig, adapter: ModelAdapter) -> HeldOut:
    """Read everything to evaluate on. Raises ConfigError or DataError before anything is started.

    Of a training run it checks `eval.best_by` too: that would else show hours later, at the first evaluation.
    """
    limit = config.eval.max_response_tokens
    if not limit and config.kind == "rl":
        limit = make_curriculum(config.curriculum).longest_stage.max_response_tokens
    benchmarks = None
    if config.benchmarks:
        make_judge(config)  # a wrong setting of it shows now
        benchmarks = read_benchmarks(config, adapter, max_response_tokens=limit)
    prompts = read_eval_prompts(config, adapter) if config.eval.data else []
    held_out = HeldOut(prompts=prompts, benchmarks=benchmarks, max_response_tokens=limit)
    if config.kind == "rl" and config.eval.is_during_training:
        _check_best_by(config, held_out)
    return held_out


def _check_best_by(config: RunConfig, held_out: HeldOut) -> None:
    names = list(HELD_OUT_FIGURES) if held_out.prompts else []
    if held_out.benchmarks is not None:
        zeros = dict.fromkeys(figure_names(config, held_out.benchmarks), 0.0)
        names += [name for name in with_mean(zeros, held_out) if name not in names]
    if config.eval.best_by not in names:
        raise ConfigError(
            f"eval.best_by: {config.eval.best_by!r} is no figure of this run's evaluations; give one of "
            f"{', '.join(names)}"
        )


def evaluate(
    fleet: Fleet | None, config: RunConfig, held_out: HeldOut, *, label: str
) -> dict[str, float]:
    """Evaluate the engines' policy; keep figures and judged responses in evaluations/LABEL.json.

    Without a fleet every question of the benchmarks must have its responses, which are judged again.
    """
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    spec = SamplingSpec(
        max_response_tokens=held_out.max_response_tokens,
        group_size=1,
        temperature=config.eval.temperature,
        top_p=config.eval.top_p,
    )
    settings = {
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "max_response_tokens": spec.max_response_tokens,
        "data": config.eval.data,
    }
    if held_out.prompts:
        assert fleet is not None
        groups = fleet.evaluate(held_out.prompts, spec)
        rows = [judged(group) for group in groups]
        metrics = evaluation_metrics(rows)
        settings["policy_version"] = groups[0].policy_version
    if held_out.benchmarks is not None:
        if fleet is not None:
            ask(fleet, config, held_out.benchmarks, label)
        is_shown = config.kind == "eval"
        figures = judge_and_write(config, held_out.benchmarks, label, is_shown=is_shown)
        metrics |= with_mean(figures, held_out)
    content = {"label": label, "metrics": metrics, "settings": settings, "rows": rows}
    write_json(evaluation_path(config.folder, label), content)
    return metrics


def step_label(step: int) -> str:
    """What an evaluation during a run is called."""
    return f"step_{step:06d}"


def with_mean(figures: dict[str, float], held_out: HeldOut) -> dict[str, float]:
    """The figures of the benchmarks; without eval.data the mean of their headlines is the accuracy.

    Where one has no headline score there is no mean: We-Math, if no composite problem is whole.
    """
    assert held_out.benchmarks is not None
    names = [one.name for one in held_out.benchmarks.selections]
    if held_out.prompts or not set(names) <= set(figures):
        return figures
    return {"accuracy": fmean(figures[name] for name in names), **figures}


def evaluate_anew(
    fleet: Fleet, config: RunConfig, held_out: HeldOut, *, label: str
) -> dict[str, float]:
    """Evaluate a policy in training: no response of an earlier one is taken over."""
    start_over(config, label)
    evaluation_path(config.folder, label).unlink(missing_ok=True)
    return evaluate(fleet, config, held_out, label=label)


def evaluation_path(run_folder: Path, label: str) -> Path:
    """Where the judged responses of an evaluation are kept."""
    return run_folder / EVALUATIONS / f"{label}.json"


def evaluation_metrics_of(run_folder: Path, label: str) -> dict[str, float] | None:
    """The figures of an evaluation that was made already; None if it was not."""
    path = evaluation_path(run_folder, label)
    return json.loads(path.read_text(encoding="utf-8"))["metrics"] if path.is_file() else None


def run_eval(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Evaluate `model.path`. Returns the result with the metrics under the run's label.

    A run that was stopped goes on: questions of benchmarks that have their responses are not asked again, and if
    all have and there is no eval.data, no engine is started.
    """
    began = time.monotonic()
    check_inputs(config)
    held_out = read_held_out(config, load_adapter(config.model))
    open_run(config)
    label = config.eval.label
    if _needs_engines(config, held_out):
        connect(config)
        stop.listen()
        with Fleet(config) as fleet:
            fleet.start()
            metrics = evaluate(fleet, config, held_out, label=label)
    else:
        print(f"{label}: every question has its response; judging them again", flush=True)
        metrics = evaluate(None, config, held_out, label=label)
    if held_out.prompts:
        figures = ", ".join(f"{name} {metrics[name]:.3f}" for name in metrics if "/" not in name)
        print(f"{label}: {figures}", flush=True)
    return write_result(
        config,
        {
            "kind": "eval",
            "label": label,
            "metrics": metrics,
            "num_prompts": len(held_out.prompts),
            "wall_seconds": time.monotonic() - began,
        },
    )


def _needs_engines(config: RunConfig, held_out: HeldOut) -> bool:
    if held_out.prompts or held_out.benchmarks is None:
        return True
    return any(unanswered(config, held_out.benchmarks, config.eval.label))
