"""How far the log-probabilities of engine and trainer lie apart, token by token: counts that add up over micro-batches and
ranks, and the quantile they give. A quantile of parts can't be had from the quantiles of the parts; from counts it can.
"""

import torch

PER_OCTAVE = 8  # bins between d and 2 d: a quantile comes out at most 9 % too large
OCTAVES = (-24, 6)  # 6e-8 to 64 nats; what lies outside counts in the first or last bin
NUM_BINS = PER_OCTAVE * (OCTAVES[1] - OCTAVES[0])


def count_differences(difference_N: torch.Tensor) -> torch.Tensor:
    """Counts [NUM_BINS] float64 of differences in nats, by their size. One that is not a number counts as the largest.

    Example:
        counts = count_differences((trainer_N - engine_N).abs())
    """
    known_N = torch.nan_to_num(difference_N.double(), nan=torch.inf)
    bins_N = torch.floor(PER_OCTAVE * (torch.log2(known_N) - OCTAVES[0])).clamp(0, NUM_BINS - 1)
    return torch.bincount(bins_N.long(), minlength=NUM_BINS).double()


def quantile_of(counts: torch.Tensor, share: float) -> float:
    """The size that `share` of the counted differences do not exceed: the upper edge of its bin; 0 if none was counted."""
    total = counts.sum()
    if not total:
        return 0.0
    place = int((counts.cumsum(0) < share * total).sum())
    return float(2.0 ** (OCTAVES[0] + (place + 1) / PER_OCTAVE))
