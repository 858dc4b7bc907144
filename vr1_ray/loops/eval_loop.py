"""Evaluation: one response a question through the run's own engines and rewards. `vr1 eval CONFIG`."""

import json
import time
from pathlib import Path
from typing import Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.loops.measures import evaluation_metrics, judged
from vr1_ray.loops.run_folder import open_run, write_json, write_result
from vr1_ray.loops.stopping import StopSignal
from vr1_ray.models import load_adapter
from vr1_ray.preflight import check_inputs, read_eval_prompts
from vr1_ray.types import Prompt

EVALUATIONS = "evaluations"


def evaluate(
    fleet: Fleet, config: RunConfig, prompts: list[Prompt], *, label: str, max_response_tokens: int
) -> dict[str, float]:
    """Evaluate the engines' policy on `prompts`; keep every judged response in evaluations/LABEL.json."""
    groups = fleet.evaluate(
        prompts, max_response_tokens=max_response_tokens, temperature=config.eval.temperature
    )
    rows = [judged(group) for group in groups]
    metrics = evaluation_metrics(rows)
    settings = {
        "temperature": config.eval.temperature,
        "max_response_tokens": max_response_tokens,
        "data": config.eval.data,
        "policy_version": groups[0].policy_version,
    }
    content = {"label": label, "metrics": metrics, "settings": settings, "rows": rows}
    write_json(evaluation_path(config.folder, label), content)
    return metrics


def step_label(step: int) -> str:
    """What an evaluation during a run is called."""
    return f"step_{step:06d}"


def evaluation_path(run_folder: Path, label: str) -> Path:
    """Where the judged responses of an evaluation are kept."""
    return run_folder / EVALUATIONS / f"{label}.json"


def evaluation_metrics_of(run_folder: Path, label: str) -> dict[str, float] | None:
    """The figures of an evaluation that was made already; None if it was not."""
    path = evaluation_path(run_folder, label)
    return json.loads(path.read_text(encoding="utf-8"))["metrics"] if path.is_file() else None


def run_eval(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Evaluate `model.path` on `eval.data`. Returns the result with the metrics under the run's label."""
    began = time.monotonic()
    check_inputs(config)
    prompts = read_eval_prompts(config, load_adapter(config.model))
    open_run(config)
    connect(config)
    stop.listen()
    with Fleet(config) as fleet:
        fleet.start()
        metrics = evaluate(
            fleet,
            config,
            prompts,
            label=config.eval.label,
            max_response_tokens=config.eval.max_response_tokens,
        )
    print(
        f"{config.eval.label}: "
        + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()),
        flush=True,
    )
    return write_result(
        config,
        {
            "kind": "eval",
            "label": config.eval.label,
            "metrics": metrics,
            "num_prompts": len(prompts),
            "wall_seconds": time.monotonic() - began,
        },
    )
