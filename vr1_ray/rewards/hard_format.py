"""HFRRF, the hard formatting result reward of Vision-R1 (arXiv 2503.06749, section 3.4).

1 only if the response is finished, well formed and right; else 0. No length penalty: a response that is
cut has no `</answer>` and earns nothing, which is what makes progressive thinking suppression work.
"""

from vr1_ray.rewards.base import Reward
from vr1_ray.rewards.math_answer import accuracy_of, answers_match
from vr1_ray.rewards.response_format import parse_response
from vr1_ray.types import RewardInput, RewardOutput


def hard_format_reward(response: str, answer: str, finished: bool = True) -> float:
    """1.0 if `response` ended by itself, has the format, and its <answer> matches `answer`; else 0.0."""
    parsed = parse_response(response) if finished else None
    return float(parsed is not None and answers_match(parsed.answer, answer))


class HardFormatReward(Reward):
    """HFRRF with its parts: `format` (finished and well formed) and `accuracy` (right, however written)."""

    def score(self, reward_input: RewardInput) -> RewardOutput:
        answer = reward_input.prompt.answer
        well_formed = reward_input.finished and parse_response(reward_input.response) is not None
        value = hard_format_reward(reward_input.response, answer, reward_input.finished)
        # A response that earns 1 is right; only the others need a second look for the metric.
        accuracy = value or accuracy_of(reward_input.response, answer)
        return RewardOutput(value=value, parts={"format": float(well_formed), "accuracy": accuracy})
