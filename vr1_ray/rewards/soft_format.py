"""The soft reward of Vision-R1-Zero: format and result, 1:1 (arXiv 2503.06749, section 4).

Half the reward for the format, half for the right answer, each without the other: what a policy without
cold start needs to find the format at all. Trained from a cold start, take `hard_format`.
"""

from vr1_ray.answers import accuracy_of
from vr1_ray.rewards.base import Reward
from vr1_ray.rewards.response_format import parse_response
from vr1_ray.types import RewardInput, RewardOutput


class SoftFormatResultReward(Reward):
    """(format + accuracy) / 2."""

    def score(self, reward_input: RewardInput) -> RewardOutput:
        is_formed = reward_input.finished and parse_response(reward_input.response) is not None
        accuracy = accuracy_of(reward_input.response, reward_input.prompt.answer)
        return RewardOutput(
            value=(float(is_formed) + accuracy) / 2,
            parts={"format": float(is_formed), "accuracy": accuracy},
        )
