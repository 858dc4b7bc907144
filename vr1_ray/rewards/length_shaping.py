"""DAPO's overlong shaping: a soft penalty before the response budget ends (arXiv 2503.14476, Eq. 13).

The budget is the stage's, so under PTST the penalty moves with it. Meant as one reward of several: alone it
only pays for being short. Vision-R1 itself has no length penalty.
"""

from vr1_ray.rewards.base import Reward
from vr1_ray.types import RewardInput, RewardOutput


def overlong_penalty(num_tokens: int, max_tokens: int, buffer_tokens: float) -> float:
    """0 up to `max_tokens - buffer_tokens`, then linearly down to -1 at `max_tokens` (arXiv 2503.14476, Eq. 13)."""
    soft_limit = max_tokens - buffer_tokens
    return max(-1.0, min(0.0, (soft_limit - num_tokens) / buffer_tokens))


class LengthShapingReward(Reward):
    """From 0 down to -1 over the last part of the budget.

    `buffer_share` is that part, a share of the stage's `max_response_tokens`; DAPO's is 4096 of 20480. The
    part `overlong` is 1 for a response that reaches into it.
    """

    def __init__(self, buffer_share: float = 0.2) -> None:
        if not 0 < buffer_share <= 1:
            raise ValueError(f"buffer_share={buffer_share}: give a share above 0, at most 1.")
        self.buffer_share = buffer_share

    def score(self, reward_input: RewardInput) -> RewardOutput:
        max_tokens = reward_input.stage.max_response_tokens
        value = overlong_penalty(
            reward_input.num_tokens, max_tokens, self.buffer_share * max_tokens
        )
        return RewardOutput(value=value, parts={"overlong": float(value < 0)})
