"""Log-probabilities of given responses, without gradient: for the reference and for pi_old."""

from collections.abc import Callable
from itertools import chain

import torch

from vr1_ray.models.base import ModelAdapter
from vr1_ray.training.batch import MicroBatch, VisionInputs, collate, filler_row
from vr1_ray.training.dealing import MicroBatchPlan
from vr1_ray.types import TrainRow

Forward = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]  # see PolicyModel.forward


class MicroBatches:
    """The micro-batches of some rows, planned at once and made one at a time.

    Example:
        micro_batches = MicroBatches(rows, vision, adapter, max_tokens=8192, device=device)
        micro_batches.stretch(5)  # where another rank makes five
        indices, micro_batch = micro_batches.make(0)  # indices: where its rows stand in `rows`
    """

    def __init__(
        self,
        rows: list[TrainRow],
        vision: VisionInputs,
        adapter: ModelAdapter,
        *,
        max_tokens: int,
        device: torch.device,
    ) -> None:
        self.rows = rows
        self.vision = vision
        self.adapter = adapter
        self.device = device
        self.plan = MicroBatchPlan(rows, max_tokens)

    def __len__(self) -> int:
        return len(self.plan.parts)

    def stretch(self, number: int) -> None:
        """Deal the rows into `number` micro-batches, so that all ranks make as many."""
        self.plan.stretch(number)

    @property
    def tokens(self) -> list[int]:
        """Of each micro-batch, as the model runs over them."""
        return [part.tokens for part in self.plan.parts]

    def make(self, place: int) -> tuple[list[int], MicroBatch]:
        """Micro-batch `place`; one without rows is a filler of weight zero."""
        indices = list(chain.from_iterable(self.plan.parts[place].groups()))
        rows = [self.rows[index] for index in indices] or [filler_row(self.adapter)]
        return indices, collate(rows, self.vision, device=self.device)


@torch.no_grad()
def score(forward: Forward, micro_batches: MicroBatches) -> list[torch.Tensor]:
    """Per row its response tokens' log-probabilities [T], in the order of the rows."""
    scored: list[torch.Tensor] = [torch.empty(0)] * len(micro_batches.rows)
    for place in range(len(micro_batches)):
        indices, micro_batch = micro_batches.make(place)
        logprobs_N, _ = forward(micro_batch, entropy="none")
        if indices:
            lengths = [len(row.response_ids) for row in micro_batch.rows]
            for index, logprobs_T in zip(indices, logprobs_N.split(lengths), strict=True):
                scored[index] = logprobs_T
    return scored
