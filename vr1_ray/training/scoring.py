"""Log-probabilities of given responses, without gradient: for the reference and for pi_old."""

from collections.abc import Callable

import torch

from vr1_ray.models.base import ModelAdapter
from vr1_ray.training.batch import MicroBatch, VisionInputs, collate, filler_row, plan_micro_batches
from vr1_ray.types import TrainRow

Forward = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]  # see PolicyModel.forward


class MicroBatches:
    """The micro-batches of some rows, planned at once and made one at a time.

    Example:
        micro_batches = MicroBatches(rows, vision, adapter, max_tokens=8192, device=device)
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
        self.plan = plan_micro_batches(rows, max_tokens)

    def __len__(self) -> int:
        return len(self.plan)

    def make(self, place: int) -> tuple[list[int], MicroBatch]:
        """Micro-batch `place`; past the last one, a filler of weight zero."""
        indices = self.plan[place] if place < len(self.plan) else []
        rows = [self.rows[index] for index in indices] or [filler_row(self.adapter)]
        return indices, collate(rows, self.vision, pad_id=self.adapter.pad_id, device=self.device)


@torch.no_grad()
def score(forward: Forward, micro_batches: MicroBatches, at_least: int = 0) -> list[torch.Tensor]:
    """Per row its response tokens' log-probabilities [T], in the order of the rows.

    `at_least`: how many forward passes to make at least, so that all ranks of ZeRO-3 make as many.
    """
    scored: list[torch.Tensor] = [torch.empty(0)] * len(micro_batches.rows)
    for place in range(max(at_least, len(micro_batches))):
        indices, micro_batch = micro_batches.make(place)
        logprobs_N, _ = forward(micro_batch, entropy="none")
        if indices:
            lengths = [len(row.response_ids) for row in micro_batch.rows]
            for index, logprobs_T in zip(indices, logprobs_N.split(lengths), strict=True):
                scored[index] = logprobs_T
    return scored
