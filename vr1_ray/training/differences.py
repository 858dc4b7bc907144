"""How far the log-probabilities of engine and trainer lie apart, token by token: mean, quantile and maximum of a step.

A quantile of the whole can't be had from those of micro-batches and ranks; from counts of differences by size it can.
"""

from dataclasses import dataclass, field

import torch

from vr1_ray.training.distributed import max_over_ranks, sum_over_ranks

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


@dataclass(kw_only=True, slots=True)
class Differences:
    """What is known of the differences of some tokens; parts are merged.

    Example:
        found = Differences()
        found.add((trainer_N - engine_N).abs())
        found.over_ranks(device)  # {"logprob_diff/mean": 0.004, "logprob_diff/p99": 0.06, "logprob_diff/max": 0.4}
    """

    counts: torch.Tensor = field(default_factory=lambda: torch.zeros(NUM_BINS, dtype=torch.float64))
    total: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    largest: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def add(self, difference_N: torch.Tensor) -> None:
        """Take in differences in nats."""
        if len(difference_N):
            wide_N = difference_N.double()
            self.merge(
                Differences(
                    counts=count_differences(wide_N), total=wide_N.sum(), largest=wide_N.max()
                )
            )

    def merge(self, other: "Differences") -> None:
        """Take in those of another part, wherever they lie."""
        self.counts = self.counts.to(other.counts.device) + other.counts
        self.total = self.total.to(other.total.device) + other.total
        self.largest = torch.maximum(self.largest.to(other.largest.device), other.largest)

    def over_ranks(self, device: torch.device) -> dict[str, float]:
        """The metrics of all ranks; none if no token was compared. Collective."""
        sums = sum_over_ranks(torch.cat([self.counts, self.total[None]]).to(device)).cpu()
        largest = float(max_over_ranks(self.largest.to(device)))
        counts, total = sums[:-1], float(sums[-1])
        if not counts.any():
            return {}
        return {
            "logprob_diff/mean": total / float(counts.sum()),
            "logprob_diff/p99": min(quantile_of(counts, 0.99), largest),
            "logprob_diff/max": largest,
        }
