"""Scores with their uncertainty: pass@k, mean@n and intervals. Pure functions over numbers.

An interval is over questions: what another draw of as many questions would give. Questions that stand or fall
together (the five versions of a MathVerse problem, the ten variants of a DynaMath seed) are drawn together,
because ten variants are not ten independent questions. Where all are alike (0 of 12), drawing again shows nothing:
there the interval is Wilson's.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

NUM_RESAMPLES = 2000
LEVEL = 0.95


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """The unbiased chance that one of k samples is right: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374, Eq. 1).

    Example: 4 samples, 1 right: pass_at_k(4, 1, 2) = 1 - C(3, 2) / C(4, 2) = 1 - 3/6 = 0.5
    """
    if not 0 <= num_correct <= num_samples or not 1 <= k <= num_samples:
        raise ValueError(
            f"pass@k: k={k}, {num_correct} right of {num_samples}; k and the right ones can't exceed the samples"
        )
    return 1.0 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def bootstrap_interval(
    values: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    weights: Sequence[float] | None = None,
    level: float = LEVEL,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of sum(values) / sum(weights) (the mean, without weights), clusters drawn whole.

    For n independent zeros and ones, c of them ones, the resampled sum is Binomial(n, c/n): its quantiles are
    what this must give. Where all draws are alike it is `wilson_interval`, over clusters.
    """
    weights = [1.0] * len(values) if weights is None else weights
    names = list(range(len(values))) if clusters is None else list(clusters)
    index = {name: place for place, name in enumerate(dict.fromkeys(names))}
    places = np.array([index[name] for name in names])
    sums = np.bincount(places, weights=np.asarray(values, dtype=float))
    masses = np.bincount(places, weights=np.asarray(weights, dtype=float))
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(num_resamples):
        drawn = generator.integers(len(sums), size=len(sums))
        mass = masses[drawn].sum()
        if mass:
            means.append(sums[drawn].sum() / mass)
    tail = (1 - level) / 2
    low, high = np.quantile(means or [0.0], [tail, 1 - tail], method="inverted_cdf")
    if low == high and 0 <= low <= 1:
        return wilson_interval(float(low), int(np.count_nonzero(masses)), level=level)
    return float(low), float(high)


def wilson_interval(share: float, num: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share of `num` independent questions (Wilson 1927, Eq. 4).

    Example: 0 of 12 at 95 %, z = 1.96: 0 to z^2 / (12 + z^2) = 3.84 / 15.84 = 0.242
    """
    if not num:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    scale = 1 + z**2 / num
    centre = (share + z**2 / (2 * num)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A named figure: the mean of `values`, each of which belongs to a cluster.

    With `weights` it is sum(values) / sum(weights), a rate with a denominator of its own (We-Math's rote
    memorisation). `complete` is how many values the published set gives: fewer are marked as a part of it.

    Example:
        Score(name="overall", values=(1.0, 0.0), clusters=("1", "2")).value  # 0.5
    """

    name: str
    values: tuple[float, ...]
    clusters: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    complete: int | None = None
    has_interval: bool = True  # not for a figure made of several means

    @classmethod
    def mean_of(cls, name: str, judged: Iterable[Any], complete: int | None = None) -> "Score":
        """The mean over questions (`base.Judged`), each the mean over its samples."""
        judged = list(judged)
        return cls(
            name=name,
            values=tuple(one.share for one in judged),
            clusters=tuple(one.question.cluster for one in judged),
            complete=complete,
        )

    @property
    def value(self) -> float | None:
        """0 to 1; None if nothing counts in it."""
        mass = sum(self.weights) if self.weights is not None else len(self.values)
        return sum(self.values) / mass if mass else None

    def interval(self) -> tuple[float, float]:
        """95 % interval."""
        return bootstrap_interval(self.values, self.clusters, weights=self.weights)


def pass_scores(judged: Sequence[Any]) -> list[Score]:
    """pass@k over questions for k = 1, 2, 4 ... up to the number of samples; [] for one sample each."""
    most = min((len(one.verdicts) for one in judged), default=1)
    if most < 2:
        return []
    powers = [2**power for power in range(1, most.bit_length()) if 2**power < most]
    scores = []
    for k in [1, *powers, most]:
        values = [
            pass_at_k(len(one.verdicts), sum(verdict.is_correct for verdict in one.verdicts), k)
            for one in judged
        ]
        clusters = tuple(one.question.cluster for one in judged)
        scores.append(Score(name=f"pass@{k}", values=tuple(values), clusters=clusters))
    return scores
