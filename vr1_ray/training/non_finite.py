"""What to do about a loss or a gradient that is NaN or infinite: skip the update, and say which rows made it.

One broken row must not spoil the weights, and one skipped update must not end a run of days. Where a rank's loss is
not finite its gradient is made NaN as a whole, so that the norm over all ranks, which every rank sees alike, tells all
of them; DeepSpeed (our own step without ZeRO) makes no update of such a norm and drops the gradients.
"""

import math
from dataclasses import dataclass, field
from itertools import chain

import torch
import torch.distributed as dist

from vr1_ray.training.batch import MicroBatch

NAMED_ROWS = 8  # so many rows a message names


def spread(loss: torch.Tensor) -> torch.Tensor:
    """The loss itself; one that is not finite as NaN times itself, whose gradient is NaN everywhere. No GPU waits."""
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


class GradientWatch:
    """The largest gradient that each row of the last micro-batch sent back to its tokens' embeddings.

    A fault in any layer comes out there, and a row's embeddings get gradient from that row alone.

    Example:
        watch = GradientWatch(policy.model.get_input_embeddings())
        engine.backward(loss)
        largest_B = watch.take()  # None if embeddings have no gradient
    """

    def __init__(self, embeddings: torch.nn.Module) -> None:
        self._largest_B: torch.Tensor | None = None
        embeddings.register_forward_hook(self._see_embeddings)

    def _see_embeddings(self, module: object, inputs: object, embeddings: torch.Tensor) -> None:
        if embeddings.requires_grad:
            embeddings.register_hook(self._see_gradient)

    def _see_gradient(self, gradient_BTD: torch.Tensor) -> None:
        self._largest_B = gradient_BTD.abs().flatten(1).amax(dim=1)

    def take(self) -> torch.Tensor | None:
        found, self._largest_B = self._largest_B, None
        return found


@dataclass(kw_only=True, slots=True)
class Suspects:
    """What was seen of an update's micro-batches; nothing is read from the GPU until an update was skipped.

    Example:
        suspects = Suspects()
        suspects.add(micro_batch, loss_N.detach(), watch.take())
        suspects.culprits()  # if the update was skipped
    """

    _seen: list[tuple[MicroBatch, torch.Tensor, torch.Tensor | None]] = field(default_factory=list)

    def add(
        self, micro_batch: MicroBatch, loss_N: torch.Tensor, largest_B: torch.Tensor | None
    ) -> None:
        self._seen.append((micro_batch, loss_N, largest_B))

    def culprits(self) -> list[str]:
        """The ids of the rows that made it, the same on every rank. Collective.

        Rows whose loss is not finite; on ranks without one, rows whose gradient is not; if there is none at all (each
        is finite, their norm is not), the row with the largest.
        """
        found = self._by_loss() or self._by_gradient()
        if dist.is_initialized():
            of_ranks: list[list[tuple[str, float]]] = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(of_ranks, found)
            found = list(chain.from_iterable(of_ranks))
        certain = [row_id for row_id, size in found if not math.isfinite(size)]
        return certain or [max(found, key=lambda item: item[1])[0]] if found else []

    def _by_loss(self) -> list[tuple[str, float]]:
        return [
            (micro_batch.rows[place].row_id, math.inf)
            for micro_batch, loss_N, _ in self._seen
            for place in micro_batch.row_index_N[~loss_N.isfinite()].unique().tolist()
        ]

    def _by_gradient(self) -> list[tuple[str, float]]:
        return [
            (row.row_id, size)
            for micro_batch, _, largest_B in self._seen
            if largest_B is not None
            for row, size in zip(micro_batch.rows, largest_B.tolist(), strict=True)
        ]


def told(update: int, row_ids: list[str], *, in_a_row: int, limit: int) -> str:
    """The alarm: which update, which rows, and what comes next."""
    named = ", ".join(row_ids[:NAMED_ROWS]) or "unknown, since embeddings have no gradient"
    more = f" and {len(row_ids) - NAMED_ROWS} more" if len(row_ids) > NAMED_ROWS else ""
    return (
        f"update {update}: loss or gradient is not finite, so it was skipped; the weights are as before it. "
        f"Rows that made it: {named}{more}. "
        f"{in_a_row} in a row; more than trainer.max_skipped_updates={limit} end the run"
    )
