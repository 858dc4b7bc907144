"""Evaluation through the run's own engines: held-out prompts (`eval.data`) and benchmarks. `vr1 eval CONFIG`.

How they are evaluated is in `held_out.py`; how benchmarks are asked, judged and written in `benchmark_loop.py`.
"""

import time
from typing import TYPE_CHECKING, Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.curriculum import make_curriculum
from vr1_ray.loops.benchmark_elsewhere import take_elsewhere
from vr1_ray.loops.benchmark_loop import read_benchmarks
from vr1_ray.loops.held_out import HeldOut, evaluate, with_mean
from vr1_ray.runs.figures import HELD_OUT_FIGURES, shown
from vr1_ray.runs.run_folder import open_run, write_result
from vr1_ray.runs.run_state import begin, now_running
from vr1_ray.runs.stopping import StopSignal

if TYPE_CHECKING:  # what was read before is handed in from above
    from vr1_ray.preflight import RunInputs


def read_held_out(config: RunConfig, inputs: "RunInputs") -> HeldOut:
    """Everything to evaluate on. Raises ConfigError or DataError before anything is started.

    Of a training run it checks `eval.best_by` too: that would else show hours later, at the first evaluation.
    """
    limit = config.eval.max_response_tokens
    if not limit and config.kind == "rl":
        limit = make_curriculum(config.curriculum).longest_stage.max_response_tokens
    held_out = HeldOut(
        prompts=inputs.eval_prompts,
        benchmarks=read_benchmarks(config, inputs.adapter, max_response_tokens=limit)
        if config.benchmarks
        else None,
        max_response_tokens=limit,
    )
    if config.kind == "rl" and config.eval.is_during_training:
        _check_best_by(config, held_out)
    return held_out


def read_elsewhere(config: RunConfig) -> HeldOut:
    """What a policy made elsewhere is evaluated on: no model is loaded. Raises ConfigError or DataError."""
    limit = config.eval.max_response_tokens
    benchmarks = read_benchmarks(config, None, max_response_tokens=limit)
    return HeldOut(prompts=[], benchmarks=benchmarks, max_response_tokens=limit)


def _check_best_by(config: RunConfig, held_out: HeldOut) -> None:
    names = list(HELD_OUT_FIGURES) if held_out.prompts else []
    if held_out.benchmarks is not None:
        zeros = dict.fromkeys(held_out.benchmarks.figure_names(), 0.0)
        names += [name for name in with_mean(zeros, held_out) if name not in names]
    if config.eval.best_by not in names:
        raise ConfigError(
            f"eval.best_by: {config.eval.best_by!r} is no figure of this run's evaluations; give one of "
            f"{', '.join(names)}"
        )


def run_eval(config: RunConfig, held_out: HeldOut, stop: StopSignal) -> dict[str, Any]:
    """Evaluate `model.path`. Returns the result with the metrics under the run's label.

    A run that was stopped goes on: questions of benchmarks that have their responses are not asked again, and if
    all have and there is no eval.data, no engine is started.
    """
    began = time.monotonic()
    open_run(config)
    begin(config)
    label = config.eval.label
    if config.eval.is_elsewhere and held_out.benchmarks is not None:
        stop.listen()
        take_elsewhere(held_out.benchmarks, label)
        metrics = evaluate(None, config, held_out, label=label)
    elif _needs_engines(config, held_out):
        connect(config)
        stop.listen()
        with Fleet(config) as fleet:
            fleet.place_pictures(held_out.asked)
            fleet.start()
            now_running(config)
            metrics = evaluate(fleet, config, held_out, label=label)
    else:
        print(f"{label}: every question has its response; judging them again", flush=True)
        now_running(config)
        metrics = evaluate(None, config, held_out, label=label)
    if held_out.prompts:
        figures = ", ".join(f"{name} {shown(metrics[name])}" for name in metrics if "/" not in name)
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
    return any(held_out.benchmarks.unanswered(config.eval.label))
