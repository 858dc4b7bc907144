"""The model card of a policy folder: README.md in the form of the Hugging Face hub, with recipe and figures.

Figures are read from the run's folder: its evaluations so far, and the last step that was logged.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vr1_ray import __version__
from vr1_ray.config import RunConfig
from vr1_ray.runs.figures import HELD_OUT_FIGURES, STEP_FIGURES
from vr1_ray.runs.run_folder import EVALUATIONS, METRICS
from vr1_ray.tracking.jsonl import read_rows

WORDS = {"cold_start": "cold start on chains of thought", "rl": "GRPO under PTST"}


def model_card(config: RunConfig, *, history: list[str], base: str) -> str:
    """The card's text. `base` is the model that the first of `history` began with."""
    made = ", then ".join(WORDS[word] for word in history)
    parts = [
        _front_matter(history, base),
        f"# {config.name}\n\nA policy of [Vision-R1](https://arxiv.org/abs/2503.06749)'s training, made with vr1_ray "
        f"{__version__} from `{base}`: {made}.",
        "It thinks before it answers:\n\n    <think> ... </think><answer> Final Answer:... </answer>",
        "## Recipe of the last part\n\n" + _table(("setting", "value"), _recipe(config)),
    ]
    evaluations = _evaluations(config)
    if evaluations:
        parts.append("## Evaluations\n\n" + evaluations)
    steps = read_rows(config.folder / METRICS)
    if steps:
        figures = [
            (label, form.format(steps[-1][key]))
            for key, label, form in STEP_FIGURES
            if steps[-1].get(key) is not None
        ]
        parts.append(f"## Step {steps[-1]['step']}\n\n" + _table(("figure", "value"), figures))
    parts.append(
        '## Use\n\n    vr1 generate POLICY --image figure.png --question "..."\n\n'
        "or any tool that loads Qwen2.5-VL; examples/serving of vr1_ray has the line for `vllm serve`."
    )
    return "\n\n".join(parts) + "\n"


def _front_matter(history: list[str], base: str) -> str:
    """What the hub reads. A licence is the owner's to give, and a folder is no model of the hub."""
    known: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["vr1_ray", "vision-r1", *history],
    }
    if base.count("/") == 1 and not Path(base).exists():
        known["base_model"] = base
    return f"---\n{yaml.safe_dump(known, sort_keys=False)}---"


def _recipe(config: RunConfig) -> list[tuple[str, ...]]:
    optimizer = config.trainer.optimizer
    shared = [
        ("seed", f"{config.seed}"),
        ("learning rate", f"{optimizer.lr:g}, {optimizer.schedule}"),
        ("frozen", _frozen(config)),
        *((f"`{name}`, handed over in Python", what) for name, what in config.objects.items()),
    ]
    if config.kind == "sft":
        return [
            ("demonstrations", ", ".join(f"`{path}`" for path in config.data.demonstrations)),
            ("demonstrations an update", f"{config.prompts_per_step}"),
            ("epochs", f"{config.num_epochs:g}"),
            *shared,
        ]
    algorithm = config.algorithm
    stages = [
        f"{stage.max_response_tokens} tokens x {stage.group_size}, {stage.steps} steps"
        for stage in config.curriculum.stages
        if stage.enabled
    ]
    return [
        ("data", f"`{config.data.train}`, split {config.data.split}"),
        ("prompts a step", f"{config.prompts_per_step}"),
        ("stages", "; ".join(stages)),
        ("rewards", ", ".join(f"{spec.weight:g} x {spec.name}" for spec in config.rewards)),
        ("algorithm", f"{algorithm.name}, KL {algorithm.kl_coef:g}, {algorithm.loss_aggregation}"),
        ("temperature", f"{config.rollout.temperature:g}"),
        *shared,
    ]


def _frozen(config: RunConfig) -> str:
    model = config.model
    parts = {"vision tower": model.freeze_vision_tower, "projector": model.freeze_projector}
    return ", ".join(name for name, is_frozen in parts.items() if is_frozen) or "nothing"


def _evaluations(config: RunConfig) -> str:
    """A row per evaluation: what it found on held-out prompts and the headlines of benchmarks; "" without any."""
    paths = (config.folder / EVALUATIONS).glob("*.json")
    made = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(paths, key=lambda path: path.stat().st_mtime)
    ]
    known = {name for found in made for name in found["metrics"]}
    names = [name for name in (*HELD_OUT_FIGURES, *config.benchmarks) if name in known]
    rows = [
        (found["label"], *(_value(found["metrics"].get(name)) for name in names)) for found in made
    ]
    return _table(("policy", *names), rows) if made else ""


def _value(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
