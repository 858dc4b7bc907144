"""Reading a run's inputs, once, so that every mistake in them shows before an engine starts.

`read_inputs` is the door: a loop is handed what it returns, and reads nothing again. Each check raises ValueError
(ConfigError, DataError) with the field, the value and the cure.
"""

from dataclasses import dataclass, field, replace

from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import ConfigError, RunConfig, check_config
from vr1_ray.config.model_path import check_model_path
from vr1_ray.config.objects import NO_OBJECTS, Objects, check_handed_over, named
from vr1_ray.config.tables import find_function
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data import (
    drop_overlong,
    limit_prompts,
    load_demonstrations,
    load_prompts,
)
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.models.card import POLICY_CARD, read_card
from vr1_ray.preflight.cold_start import cap_of, examine, length_line
from vr1_ray.preflight.quick import check_quickly
from vr1_ray.preflight.token_counts import Lengths, TokenCounts
from vr1_ray.rewards import make_rewards
from vr1_ray.types import Demonstration, Prompt
from vr1_ray.wording import counted


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What a run is handed, found sound: data that fits the model, and what the user should know.

    Example:
        inputs = read_inputs(config)
        len(inputs.prompts), inputs.notes    # 4000, ["4,000 prompts, 0 skipped as too long"]
    """

    adapter: ModelAdapter
    prompts: list[Prompt] = field(default_factory=list)  # an RL run's
    demonstrations: list[Demonstration] = field(default_factory=list)  # a cold start's
    num_left_out: int = 0  # prompts or demonstrations that are too long
    eval_prompts: list[Prompt] = field(default_factory=list)  # of `eval.data`
    objects: Objects = field(
        default_factory=dict
    )  # handed over from Python; rewards are made of them
    notes: list[str] = field(default_factory=list)


def read_inputs(
    config: RunConfig, objects: Objects = NO_OBJECTS, *, ahead: RunConfig | None = None
) -> RunInputs:
    """Everything that an sft, rl, eval or filter run reads, verified without an actor.

    `objects` are what Python hands over in the place of names (`config/objects.py`): they are read by the same rules.
    `ahead`: the RL run that a cold start is made for, where it is known (the next one of a recipe).
    """
    check_config(config)
    check_handed_over(config, objects)
    make_algorithm(config.algorithm, kind=config.kind)
    make_rewards(config.rewards, objects=objects)
    if config.eval.diagnosis:
        find_function(config.eval.diagnosis, "eval.diagnosis", {})
    if config.kind == "rl":
        make_curriculum(config.curriculum)
        check_cold_started(config)
    check_model_path(config.model.path)
    # Rows come before the processor, which takes seconds: a missing picture should not wait for it to be told.
    loaded = load_demonstrations(config.data_here, objects) if config.kind == "sft" else []
    trained_on = _load_prompts(config, objects) if config.kind in ("rl", "filter") else []
    held_out = _load_eval_prompts(config, objects) if config.eval.data else []
    adapter = load_adapter(config.model)
    warnings = [] if config.kind in ("eval", "filter") else check_quickly(config, adapter)
    prompts: list[Prompt] = []
    demonstrations: list[Demonstration] = []
    notes: list[str] = []
    left_out = 0
    if config.kind in ("rl", "filter"):
        prompts, left_out = _fit_prompts(trained_on, config, adapter)
        notes = [f"{counted(len(prompts), 'prompt')}, {left_out:,} skipped as too long"]
    if config.kind == "sft":
        taught = examine(loaded, config, ahead)
        taught.check(config.data.max_unrewarded_share)
        demonstrations, lengths = fit_demonstrations(config, adapter, loaded)
        left_out = len(loaded) - len(demonstrations)
        notes = [
            f"{counted(len(demonstrations), 'demonstration')}, {left_out:,} dropped as too long",
            f"{taught.line()}; {length_line(lengths, cap_of(config, ahead))}",
        ]
    return RunInputs(
        adapter=adapter,
        prompts=prompts,
        demonstrations=demonstrations,
        num_left_out=left_out,
        eval_prompts=_limit(held_out, config, adapter)[0] if held_out else [],
        objects=objects,
        notes=[*notes, *warnings],
    )


def read_prompts(
    config: RunConfig, adapter: ModelAdapter, objects: Objects = NO_OBJECTS
) -> tuple[list[Prompt], int]:
    """Training prompts that fit `data.max_prompt_tokens`, and how many did not."""
    return _fit_prompts(_load_prompts(config, objects), config, adapter)


def _load_prompts(config: RunConfig, objects: Objects) -> list[Prompt]:
    return load_prompts(
        config.data_here,
        named(config.data.train, objects, "data.train"),
        config.data.split,
        max_images=config.model.max_images,
    )


def _fit_prompts(
    prompts: list[Prompt], config: RunConfig, adapter: ModelAdapter
) -> tuple[list[Prompt], int]:
    kept, skipped = _limit(prompts, config, adapter)
    if config.kind == "rl" and len(kept) < config.prompts_per_step:
        raise ConfigError(
            f"prompts_per_step: {config.prompts_per_step} is more than the {counted(len(kept), 'prompt')} of data.train "
            f"{config.data.train!r}; lower it, or give more data"
        )
    return kept, skipped


def read_eval_prompts(
    config: RunConfig, adapter: ModelAdapter, objects: Objects = NO_OBJECTS
) -> list[Prompt]:
    """Held-out prompts, in the order of the data."""
    return _limit(_load_eval_prompts(config, objects), config, adapter)[0]


def _load_eval_prompts(config: RunConfig, objects: Objects) -> list[Prompt]:
    data = replace(config.data_here, max_rows=config.eval.max_prompts)
    return load_prompts(
        data,
        named(config.eval.data, objects, "eval.data"),
        config.eval.split,
        field="eval.data",
        max_images=config.model.max_images,
    )


def _limit(
    prompts: list[Prompt], config: RunConfig, adapter: ModelAdapter
) -> tuple[list[Prompt], int]:
    counts = TokenCounts(config.data_here.index_folder, config.model, adapter)
    counts.add(prompts)
    return limit_prompts(
        prompts,
        counts.of,
        config.data.max_prompt_tokens,
        config.data.overlong_prompts,
    )


def fit_demonstrations(
    config: RunConfig, adapter: ModelAdapter, demonstrations: list[Demonstration]
) -> tuple[list[Demonstration], list[Lengths]]:
    """Those that fit `data.cutoff_len` (none is ever cut), and the lengths of all: tokens of prompt and response."""
    limit = min(config.data.cutoff_len, config.model.max_model_len)
    counts = TokenCounts(config.data_here.index_folder, config.model, adapter)
    counts.add(demonstrations)
    kept, _ = drop_overlong(demonstrations, counts.of, limit)
    if len(kept) < config.prompts_per_step:
        raise ConfigError(
            f"prompts_per_step: {config.prompts_per_step} is more than the {len(kept)} demonstrations that fit "
            f"data.cutoff_len {limit}; lower it, or raise data.cutoff_len"
        )
    return kept, [counts.lengths(one) for one in demonstrations]


def check_cold_started(config: RunConfig) -> None:
    """RL wants a cold-started policy: raise ConfigError with the ways out if `model.path` is none."""
    if config.allow_base_policy or "cold_start" in read_card(config.model.path).get("history", []):
        return
    raise ConfigError(
        f"model.path: {config.model.path!r} is not a policy cold-started here (no {POLICY_CARD} that says so). Run "
        "`vr1 sft CONFIG` first and give its policy folder; or set allow_base_policy=true for a policy that was "
        "cold-started elsewhere (Vision-R1-CI-7B) or for RL without cold start (Vision-R1-Zero)"
    )
