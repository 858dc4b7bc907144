"""What a run is evaluated on, and the evaluation of its engines' policy: held-out prompts, benchmarks, or both.

Benchmarks are handed in (`benchmark_loop.py`): a run without any knows nothing of them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.loops.measures import evaluation_metrics, judged, name_errors
from vr1_ray.runs.run_folder import EVALUATIONS, write_json
from vr1_ray.types import Prompt, SamplingSpec

if TYPE_CHECKING:
    from vr1_ray.loops.benchmark_loop import BenchmarkSet


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a run evaluates on: prompts of `eval.data`, benchmarks, or both.

    Example:
        held_out = read_held_out(config, inputs)    # eval_loop.py
        held_out.max_response_tokens     # eval.max_response_tokens, else the longest stage's
    """

    prompts: list[Prompt]
    benchmarks: "BenchmarkSet | None"
    max_response_tokens: int

    @property
    def asked(self) -> list[Prompt]:
        """Every prompt, those of benchmarks too: what engines must see the pictures of."""
        return [*self.prompts, *(self.benchmarks.prompts if self.benchmarks else [])]


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
        name_errors(rows, config.eval.diagnosis)
        metrics = evaluation_metrics(rows)
        settings["policy_version"] = groups[0].policy_version
    if held_out.benchmarks is not None:
        if fleet is not None:
            held_out.benchmarks.ask(fleet, label)
        figures = held_out.benchmarks.judge_and_write(label, is_shown=config.kind == "eval")
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
    names = held_out.benchmarks.names
    if held_out.prompts or not set(names) <= set(figures):
        return figures
    return {"accuracy": fmean(figures[name] for name in names), **figures}


def evaluate_anew(
    fleet: Fleet, config: RunConfig, held_out: HeldOut, *, label: str
) -> dict[str, float]:
    """Evaluate a policy in training: no response of an earlier one is taken over."""
    if held_out.benchmarks is not None:
        held_out.benchmarks.start_over(label)
    evaluation_path(config.folder, label).unlink(missing_ok=True)
    return evaluate(fleet, config, held_out, label=label)


def evaluation_path(run_folder: Path, label: str) -> Path:
    """Where the judged responses of an evaluation are kept."""
    return run_folder / EVALUATIONS / f"{label}.json"


def evaluation_metrics_of(run_folder: Path, label: str) -> dict[str, float] | None:
    """The figures of an evaluation that was made already; None if it was not."""
    path = evaluation_path(run_folder, label)
    return json.loads(path.read_text(encoding="utf-8"))["metrics"] if path.is_file() else None
