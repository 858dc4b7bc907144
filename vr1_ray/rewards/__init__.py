"""Rewards: what a response earns, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package, a class or a plain function, is named in the YAML as `package.module:Name`.
"""

from collections.abc import Sequence

from vr1_ray.config import RewardSpec
from vr1_ray.config.objects import NO_OBJECTS, Objects
from vr1_ray.rewards.base import FunctionReward, Reward, RewardOutcome, RewardUnavailableError
from vr1_ray.rewards.combining import (
    SHARED_PARTS,
    NamedReward,
    RewardError,
    combine,
    combine_batch,
)
from vr1_ray.rewards.hard_format import HardFormatReward, hard_format_reward
from vr1_ray.rewards.length_shaping import LengthShapingReward, overlong_penalty
from vr1_ray.rewards.llm_judge import LlmJudgeReward
from vr1_ray.rewards.loading import load_rewards
from vr1_ray.rewards.remote import RemoteReward
from vr1_ray.rewards.repetition import RepetitionReward, repeated_share
from vr1_ray.rewards.response_format import ParsedResponse, parse_response
from vr1_ray.rewards.soft_format import SoftFormatResultReward

REWARDS: dict[str, type[Reward]] = {
    "hard_format": HardFormatReward,
    "length_shaping": LengthShapingReward,
    "llm_judge": LlmJudgeReward,
    "remote": RemoteReward,
    "repetition": RepetitionReward,
    "soft_format_result": SoftFormatResultReward,
}

__all__ = [
    "REWARDS",
    "SHARED_PARTS",
    "FunctionReward",
    "NamedReward",
    "ParsedResponse",
    "Reward",
    "RewardError",
    "RewardOutcome",
    "RewardUnavailableError",
    "combine",
    "combine_batch",
    "hard_format_reward",
    "make_rewards",
    "overlong_penalty",
    "parse_response",
    "repeated_share",
]


def make_rewards(
    specs: Sequence[RewardSpec], *, pool: str | None = None, objects: Objects = NO_OBJECTS
) -> list[NamedReward]:
    """The rewards that the config's `rewards` list names, with their weights, for `combine_batch`.

    A name used again gets a number, as in `repetition#2`, so that the parts of both are kept. `pool` leaves
    out those that another of `reward_pools` scores. `objects` are those handed over from Python. Raises
    ValueError with the field for a name, weight or option that can't be used.
    """
    return load_rewards(specs, REWARDS, pool, objects)
