"""Settings of `vr1 filter`: which prompts are worth training on, by how often a policy is right. And their rules."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vr1_ray.config.paths import PathText
from vr1_ray.config.ranges import AnyNumber, CountFrom0, CountFrom1, CountFrom2, Share

if TYPE_CHECKING:
    from vr1_ray.config.schema import RunConfig


@dataclass
class FilterConfig:
    """How often each prompt of `data.train` is tried, and between which pass rates it is kept.

    Engines, rewards, temperature and seed are the run's. A change of the window asks nothing again.
    """

    num_samples: CountFrom2 = 8  # responses a prompt
    min_rate: Share = 0.1  # kept from here: below it the prompt is too hard
    max_rate: Share = 0.9  # kept up to here: above it the prompt is too easy
    # What a response passes by: "accuracy" or another part that the run's rewards report, or "reward", their weighted sum.
    by: str = "accuracy"
    pass_at: AnyNumber = 1.0  # it passes if that is at least so much
    max_response_tokens: CountFrom0 = 0  # 0: the first stage's
    prompts_at_once: CountFrom1 = 256  # handed to the engines; more keeps more of them busy
    output: PathText = ""  # folder of the data set; default: RUN_FOLDER/dataset


def as_filter(config: "RunConfig") -> "RunConfig":
    """The filter of an RL run's prompts: the same settings, in a folder of its own inside the run's."""
    return replace(config, kind="filter", name=f"{config.name}/filter")


def response_budget(config: "RunConfig") -> int:
    """Tokens of a response while filtering; 0 if nothing says how many."""
    stages = [stage for stage in config.curriculum.stages if stage.enabled]
    return config.filter.max_response_tokens or (stages[0].max_response_tokens if stages else 0)


def filter_problems(config: "RunConfig") -> Iterator[str]:
    """One line for each setting that can't be."""
    if config.kind != "filter":
        return
    own = config.filter
    if own.min_rate > own.max_rate:
        yield f"filter.min_rate, max_rate: {own.min_rate:g}, {own.max_rate:g} are no window; give 0 <= min <= max <= 1"
    if config.rollout.temperature <= 0:
        yield (
            f"rollout.temperature: {config.rollout.temperature:g} samples equal responses, all right or all wrong; use 1.0"
        )
    budget = response_budget(config)
    room = config.model.max_model_len - config.data.max_prompt_tokens
    if budget < 1:
        yield "filter.max_response_tokens: 0, and no stage to take it from; set it"
    elif budget > room:
        yield (
            f"filter.max_response_tokens: {budget} does not fit: model.max_model_len less data.max_prompt_tokens leaves "
            f"{room}"
        )
