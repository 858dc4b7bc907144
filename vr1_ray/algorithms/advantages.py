"""Advantages: what each response of a group is worth beside the others. Pure functions on plain numbers.

Each takes the rewards of ONE group, `rewards_G`, and returns one number per response, in order; `step_normalised` takes
the responses of a whole step. What is alone, or all equal, has nothing to compare and gets exactly 0.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev


def is_informative(rewards_G: Sequence[float]) -> bool:
    """Whether the rewards of a group differ by more than rounding: only then there is an advantage in it.

    Asked of the rewards: what is left of equal ones after their mean is taken off is not always 0.
    """
    return not math.isclose(min(rewards_G), max(rewards_G), rel_tol=1e-9, abs_tol=1e-12)


def group_normalised(rewards_G: Sequence[float], *, epsilon: float = 1e-6) -> list[float]:
    """A_i = (r_i - mean(r)) / std(r): Vision-R1, arXiv 2503.06749, Eq. 1.

    `std` is the unbiased one (over G - 1), plus `epsilon` so that a group of equal rewards gets 0.
    """
    if not is_informative(rewards_G):
        return [0.0 for _ in rewards_G]
    mean, scale = fmean(rewards_G), stdev(rewards_G) + epsilon
    return [(reward - mean) / scale for reward in rewards_G]


def group_centred(rewards_G: Sequence[float]) -> list[float]:
    """A_i = r_i - mean(r): Dr. GRPO, arXiv 2503.20783, section 3.2. No weight for a group's difficulty."""
    if not is_informative(rewards_G):
        return [0.0 for _ in rewards_G]
    mean = fmean(rewards_G)
    return [reward - mean for reward in rewards_G]


def leave_one_out(rewards_G: Sequence[float]) -> list[float]:
    """A_i = r_i - mean of the others: RLOO, arXiv 2402.14740, Eq. 8. An unbiased baseline."""
    if not is_informative(rewards_G):
        return [0.0 for _ in rewards_G]
    total, others = sum(rewards_G), len(rewards_G) - 1
    return [reward - (total - reward) / others for reward in rewards_G]


def step_normalised(values_B: Sequence[float], num_tokens_B: Sequence[int]) -> list[float]:
    """A_i = (v_i - mean(v)) / std(v) over all response tokens of a step: REINFORCE++, arXiv 2501.03262, section 3.

    Each token of a response has its value, so a response counts as often as it has tokens. `std` is over their number.
    """
    if not is_informative(values_B):
        return [0.0 for _ in values_B]
    total = sum(num_tokens_B)
    pairs = list(zip(values_B, num_tokens_B, strict=True))
    mean = sum(value * tokens for value, tokens in pairs) / total
    variance = sum((value - mean) ** 2 * tokens for value, tokens in pairs) / total
    return [(value - mean) / (math.sqrt(variance) + 1e-6) for value in values_B]
