"""Settings of the blindness probe, and their rules: does the policy look at its pictures? See `data/blindness.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vr1_ray.config.schema import RunConfig


@dataclass
class BlindnessConfig:
    """What is asked, and when the policy counts as blind. `vr1 check --probe` asks by the same settings."""

    at_stage_start: bool = True  # of an RL run; false asks only in `vr1 check --probe`
    num_prompts: int = 8  # each is answered three times, greedily, and scored three times
    max_response_tokens: int = 0  # 0: the stage's
    # Nats per token that a response must lose without its own picture, for the policy to have looked at it.
    min_logprob_drop: float = 0.01
    alarm_looks_rate: float = 0.125  # an alarm if it looks in no larger share of the questions


def blindness_problems(config: "RunConfig") -> Iterator[str]:
    """One line for each setting that can't be."""
    blindness = config.blindness
    if blindness.num_prompts < 2:
        yield f"blindness.num_prompts: {blindness.num_prompts}; give at least 2, each is shown another's picture"
    if blindness.max_response_tokens < 0:
        yield f"blindness.max_response_tokens: {blindness.max_response_tokens} is negative; use 0 for the stage's"
    if not blindness.min_logprob_drop > 0:  # nor nan
        yield f"blindness.min_logprob_drop: {blindness.min_logprob_drop:g} must be above 0 nats per token"
    if not 0 <= blindness.alarm_looks_rate <= 1:
        yield f"blindness.alarm_looks_rate: {blindness.alarm_looks_rate:g} is a share of questions; give 0 to 1"
