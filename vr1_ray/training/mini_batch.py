"""The arithmetic of one mini-batch over all ranks: what each token weighs, and the sums metrics are made of.

Loss and gradient are means over the whole mini-batch, however it is cut into ranks and micro-batches:
each token carries its share of the mean from the start, and everything after that is a plain sum.
"""

import math
from dataclasses import dataclass, field
from itertools import chain

import torch

from vr1_ray.algorithms import Algorithm
from vr1_ray.training.batch import MicroBatch
from vr1_ray.training.differences import Differences
from vr1_ray.training.distributed import max_over_ranks, sum_over_ranks
from vr1_ray.types import TrainRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over all ranks that the mean of one mini-batch needs, and how many micro-batches each rank makes.

    Example:
        [totals] = totals_over_ranks([rows], [len(plan)], torch.device("cpu"))
    """

    weighted_tokens: float
    weighted_rows: float
    tokens: float
    num_micro_batches: int


def totals_over_ranks(
    rows_by_mini_batch: list[list[TrainRow]], num_micro_batches: list[int], device: torch.device
) -> list[Totals]:
    """The totals of every mini-batch, in two collectives. Raises ValueError for one without tokens."""
    own = [
        [
            sum(row.weight * len(row.response_ids) for row in rows),
            sum(row.weight for row in rows),
            sum(len(row.response_ids) for row in rows),
        ]
        for rows in rows_by_mini_batch
    ]
    sums = sum_over_ranks(torch.tensor(own, dtype=torch.float64, device=device)).tolist()
    counts = max_over_ranks(torch.tensor(num_micro_batches, device=device)).tolist()
    for number, (weighted_tokens, _, _) in enumerate(sums):
        if weighted_tokens <= 0:
            raise ValueError(
                f"mini-batch {number} has no response token with a weight on any rank; "
                "leave out steps that have nothing to learn from"
            )
    return [
        Totals(weighted_tokens=a, weighted_rows=b, tokens=c, num_micro_batches=int(count))
        for (a, b, c), count in zip(sums, counts, strict=True)
    ]


def tokens_over_ranks(
    tokens_by_mini_batch: list[list[int]], device: torch.device
) -> dict[str, float]:
    """What all ranks together run over, and what their time would run over, from each one's micro-batches.

    Ranks make their n-th micro-batch at the same time, and go on when the heaviest is done.
    """
    own = torch.tensor(list(chain.from_iterable(tokens_by_mini_batch)), device=device)
    packed = float(sum_over_ranks(own.sum()))
    num_ranks = float(sum_over_ranks(torch.ones((), device=device)))
    lockstep = float(max_over_ranks(own).sum()) * num_ranks
    return {"tokens/packed": packed, "tokens/lockstep": lockstep}


def token_weights(micro_batch: MicroBatch, totals: Totals, algorithm: Algorithm) -> torch.Tensor:
    """Each token's share of the mean, [N].

    token_mean: w_i / sum_j w_j |o_j|. sequence_mean: w_i / |o_i| / sum_j w_j. Over a whole mini-batch they add up to 1.
    constant_length: w_i / loss_length / sum_j w_j.
    """
    share_B = micro_batch.per_row(lambda row: row.weight)
    if algorithm.aggregation == "token_mean":
        share_B = share_B / totals.weighted_tokens
    elif algorithm.aggregation == "sequence_mean":
        share_B = share_B / micro_batch.row_lengths_B / totals.weighted_rows
    else:
        share_B = share_B / algorithm.loss_length / totals.weighted_rows
    return share_B[micro_batch.row_index_N]


@dataclass(kw_only=True, slots=True)
class StepSums:
    """Sums over tokens that grow through a step; `means` turns them into metrics of all ranks.

    Example:
        sums = StepSums()
        sums.add({"loss": loss.detach(), "entropy": entropy_N.sum()})
    """

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    differences: Differences = field(default_factory=Differences)  # of trainer and engine

    def add(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def merge(self, other: "StepSums") -> None:
        """Take in the sums of one update."""
        self.add(other.sums)
        self.differences.merge(other.differences)

    def without_update(self) -> "StepSums":
        """What is true of an update that was skipped: how far trainer and engine are apart. The other sums are 0."""
        nothing = {name: torch.zeros_like(value) for name, value in self.sums.items()}
        return StepSums(sums=nothing, differences=self.differences)

    def over_ranks(self, device: torch.device) -> dict[str, float]:
        """The sums of all ranks. Collective; does not change this rank's sums."""
        names = sorted(self.sums)
        own = torch.stack([self.sums[name].to(device) for name in names])
        return dict(zip(names, sum_over_ranks(own).tolist(), strict=True))


def step_metrics(sums: dict[str, float], made: list[Totals]) -> dict[str, float]:
    """Means of all ranks over the updates that were `made`: the loss over these, the algorithm's metrics over their
    tokens; NaN if none was."""
    num_tokens = sum(total.tokens for total in made) or math.nan
    loss = sums.pop("loss") / (len(made) or math.nan)
    return {"loss": loss} | {name: value / num_tokens for name, value in sums.items()}
