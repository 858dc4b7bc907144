"""HFRRF, the hard formatting result reward of Vision-R1 (arXiv 2503.06749, section 3.4).

1 only if the response is finished, well formed and right; else 0. No length penalty: a response that is
cut has no `</answer>` and earns nothing, which is what makes progressive thinking suppression work.
"""

from vr1_ray.answers import accuracy_of, answers_match, compare
from vr1_ray.rewards.base import Reward
from vr1_ray.rewards.response_format import parse_response
from vr1_ray.types import RewardInput, RewardOutput


def hard_format_reward(response: str, answer: str, finished: bool = True) -> float:
    """1.0 if `response` ended by itself, has the format, and its <answer> matches `answer`; else 0.0."""
    parsed = parse_response(response) if finished else None
    return float(parsed is not None and answers_match(parsed.answer, answer))


class HardFormatReward(Reward):
    """HFRRF with its parts.

    `format` (finished and well formed), `accuracy` (right, however written) and `answer_check/bounded` (the
    answer was too long or too large to check, and so counts as wrong).
    """

    def score(self, reward_input: RewardInput) -> RewardOutput:
        response, answer = reward_input.response, reward_input.prompt.answer
        parsed = parse_response(response) if reward_input.finished else None
        verdict = compare(parsed.answer, answer) if parsed else None
        value = float(verdict is not None and verdict.is_match)
        return RewardOutput(
            value=value,
            parts={
                "format": float(parsed is not None),
                # A response that earns 1 is right; only the others need a second look for the metric.
                "accuracy": value or accuracy_of(response, answer),
                "answer_check/bounded": float(verdict is not None and verdict.is_bounded),
            },
        )
