"""Reading a run's inputs so that every mistake in them shows before an engine starts.

Each check raises ValueError (ConfigError, DataError) with the field, the value and the cure.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import ConfigError, RunConfig, check_config
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data import drop_overlong, limit_prompts, load_demonstrations, load_prompts
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.rewards import make_rewards
from vr1_ray.types import Demonstration, Prompt

POLICY_CARD = "vr1_policy.json"  # written beside the weights by `vr1 sft` and `vr1 rl`


def check_inputs(config: RunConfig) -> list[str]:
    """Everything of a run's inputs that can be verified without an actor; returns what was found, in lines."""
    check_config(config)
    if config.kind == "figure_math":
        return [f"figure_math: {config.figure_math.num_train} training questions to draw"]
    make_algorithm(config.algorithm, kind=config.kind)
    make_rewards(config.rewards)
    adapter = load_adapter(config.model)
    lines = [f"model: {config.model.path}"]
    if config.kind == "sft":
        demonstrations, dropped = read_demonstrations(config, adapter)
        lines.append(
            f"demonstrations: {len(demonstrations)}, {dropped} dropped as longer than data.cutoff_len"
        )
    if config.kind == "rl":
        make_curriculum(config.curriculum)
        check_cold_started(config)
        prompts, skipped = read_prompts(config, adapter)
        lines.append(
            f"prompts: {len(prompts)}, {skipped} skipped as longer than data.max_prompt_tokens"
        )
    if config.eval.data:
        lines.append(f"evaluation prompts: {len(read_eval_prompts(config, adapter))}")
    return lines


def read_prompts(config: RunConfig, adapter: ModelAdapter) -> tuple[list[Prompt], int]:
    """Training prompts that fit `data.max_prompt_tokens`, and how many did not."""
    prompts = load_prompts(config.data_here, config.data.train, config.data.split)
    kept, skipped = _limit(prompts, config, adapter)
    if len(kept) < config.prompts_per_step:
        raise ConfigError(
            f"prompts_per_step: {config.prompts_per_step} is more than the {len(kept)} prompts of data.train "
            f"{config.data.train!r}; lower it, or give more data"
        )
    return kept, skipped


def read_eval_prompts(config: RunConfig, adapter: ModelAdapter) -> list[Prompt]:
    """Held-out prompts, in the order of the data."""
    data = replace(config.data_here, max_rows=config.eval.max_prompts)
    kept, _ = _limit(
        load_prompts(data, config.eval.data, config.eval.split, field="eval.data"), config, adapter
    )
    return kept


def _limit(
    prompts: list[Prompt], config: RunConfig, adapter: ModelAdapter
) -> tuple[list[Prompt], int]:
    return limit_prompts(
        prompts,
        lambda prompt: len(adapter.render(prompt).prompt_ids),
        config.data.max_prompt_tokens,
        config.data.overlong_prompts,
    )


def read_demonstrations(
    config: RunConfig, adapter: ModelAdapter
) -> tuple[list[Demonstration], int]:
    """Demonstrations that fit `data.cutoff_len`, and how many were dropped (none is ever cut)."""

    def length_of(demonstration: Demonstration) -> int:
        prompt_ids = adapter.render(demonstration.prompt).prompt_ids
        return len(prompt_ids) + len(adapter.encode_response(demonstration.response))

    limit = min(config.data.cutoff_len, config.model.max_model_len)
    kept, dropped = drop_overlong(load_demonstrations(config.data_here), length_of, limit)
    if len(kept) < config.prompts_per_step:
        raise ConfigError(
            f"prompts_per_step: {config.prompts_per_step} is more than the {len(kept)} demonstrations that fit "
            f"data.cutoff_len {limit}; lower it, or raise data.cutoff_len"
        )
    return kept, dropped


def read_card(policy: str) -> dict[str, Any]:
    """What the card of a policy folder says; nothing for a model that was not made here."""
    path = Path(policy) / POLICY_CARD
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check_cold_started(config: RunConfig) -> None:
    """RL wants a cold-started policy: raise ConfigError with the ways out if `model.path` is none."""
    if config.allow_base_policy or "cold_start" in read_card(config.model.path).get("history", []):
        return
    raise ConfigError(
        f"model.path: {config.model.path!r} is not a policy cold-started here (no {POLICY_CARD} that says so). Run "
        "`vr1 sft CONFIG` first and give its policy folder; or set allow_base_policy=true for a policy that was "
        "cold-started elsewhere (Vision-R1-CI-7B) or for RL without cold start (Vision-R1-Zero)"
    )
