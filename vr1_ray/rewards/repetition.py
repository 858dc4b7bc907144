"""A penalty on repetition: the share of n-grams that were said before.

The n-gram penalty of arXiv 2502.03373 (appendix C.2), in the whole-response form of Open R1. Counted on token ids, so it needs no word boundaries and sees loops of any script. It can't tell a needless
loop from a second look at the figure: n is long enough to let short phrases recur, and the weight is yours.
"""

from collections.abc import Sequence

from vr1_ray.rewards.base import Reward
from vr1_ray.types import RewardInput, RewardOutput


def repeated_share(ids: Sequence[int], ngram_tokens: int) -> float:
    """1 - (different n-grams) / (all n-grams), from 0 to 1; 0 for a text shorter than one n-gram."""
    count = len(ids) - ngram_tokens + 1
    if count < 1:
        return 0.0
    return 1.0 - len({tuple(ids[at : at + ngram_tokens]) for at in range(count)}) / count


class RepetitionReward(Reward):
    """From 0 (nothing recurs) down towards -1 (one n-gram over and over). The part is `repeated_share`."""

    def __init__(self, ngram_tokens: int = 8) -> None:
        if ngram_tokens < 1:
            raise ValueError(f"ngram_tokens={ngram_tokens}: give at least 1.")
        self.ngram_tokens = ngram_tokens

    def score(self, reward_input: RewardInput) -> RewardOutput:
        share = repeated_share(reward_input.rollout.response_ids, self.ngram_tokens)
        return RewardOutput(value=-share, parts={"repeated_share": share})
