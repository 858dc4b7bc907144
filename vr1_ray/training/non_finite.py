"""What to do about a loss or a gradient that is NaN or infinite: skip the update, and say which rows made it.

One broken row must not spoil the weights, and one skipped update must not end a run of days. Where a rank's loss is
not finite its gradient is made NaN as a whole, so that the norm over all ranks, which every rank sees alike, tells all
of them; DeepSpeed (our own step without ZeRO) makes no update of such a norm and drops the gradients.
"""

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
import torch.distributed as dist

from vr1_ray.models.packing import PackedGroup
from vr1_ray.training.batch import MicroBatch

NAMED_ROWS = 8  # so many rows a message names


def spread(loss: torch.Tensor) -> torch.Tensor:
    """The loss itself; one that is not finite as NaN times itself, whose gradient is NaN everywhere. No GPU waits."""
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


def drop_gradients(engine: Any, *, unless: bool) -> None:
    """What DeepSpeed summed for a step that it did not make, `unless` it made it.

    With an offloaded optimizer its stages 1 and 2 would keep it and add the next update's gradients to it.
    """
    if unless or engine.zero_optimization_stage() not in (1, 2):
        return
    # DeepSpeed's optimizer of bfloat16 at stage 1 without offload has none, and drops its own.
    sums = getattr(engine.optimizer, "averaged_gradients", {})
    for group in sums:
        sums[group] = None


class GradientWatch:
    """The largest gradient that came back to each token's embedding in the last micro-batch.

    A fault in any layer of the language model comes out there: a response's embeddings get gradient from that response
    alone, its prompt's from all responses to it.
    One that begins in the vision tower's own backward pass does not: then the loudest row is no more than a suspect.

    Example:
        watch = GradientWatch(policy.model.get_input_embeddings())
        engine.backward(loss)
        largest_T = watch.take()  # None if embeddings have no gradient
    """

    def __init__(self, embeddings: torch.nn.Module) -> None:
        self._largest_T: torch.Tensor | None = None
        embeddings.register_forward_hook(self._see_embeddings)

    def _see_embeddings(self, module: object, inputs: object, embeddings: torch.Tensor) -> None:
        if embeddings.requires_grad:
            embeddings.register_hook(self._see_gradient)

    def _see_gradient(self, gradient: torch.Tensor) -> None:  # [1, T, hidden]
        self._largest_T = gradient[0].abs().amax(dim=1)

    def take(self) -> torch.Tensor | None:
        found, self._largest_T = self._largest_T, None
        return found


@dataclass(kw_only=True, slots=True)
class Suspects:
    """What was seen of an update's micro-batches; nothing is read from the GPU until an update was skipped.

    Example:
        suspects = Suspects()
        suspects.add(micro_batch, loss_N.detach(), watch.take())
        suspects.culprits()  # if the update was skipped
    """

    # Of each micro-batch its rows' ids and places, the row of each token, loss and gradients: no pictures, which are large.
    _seen: list[
        tuple[list[str], tuple[PackedGroup, ...], torch.Tensor, torch.Tensor, torch.Tensor | None]
    ] = field(default_factory=list)

    def add(
        self, micro_batch: MicroBatch, loss_N: torch.Tensor, largest_T: torch.Tensor | None
    ) -> None:
        ids = [row.row_id for row in micro_batch.rows]
        groups = micro_batch.model_batch.groups
        self._seen.append((ids, groups, micro_batch.row_index_N, loss_N, largest_T))

    def culprits(self) -> tuple[list[str], bool]:
        """The ids of the rows that made it, and whether that is certain; the same on every rank. Collective.

        Rows whose loss is not finite; on ranks without one, rows whose gradient is not. If there is none at all, the
        row with the largest gradient, which is a guess: all may be finite and their norm not, or the fault began in
        the vision tower.
        """
        found = self._by_loss() or self._by_gradient()
        if dist.is_initialized():
            of_ranks: list[list[tuple[str, float]]] = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(of_ranks, found)
            found = list(chain.from_iterable(of_ranks))
        certain = [row_id for row_id, size in found if not math.isfinite(size)]
        if certain or not found:
            return certain, True
        return [max(found, key=lambda item: item[1])[0]], False

    def _by_loss(self) -> list[tuple[str, float]]:
        return [
            (ids[place], math.inf)
            for ids, _, row_index_N, loss_N, _ in self._seen
            for place in row_index_N[~loss_N.isfinite()].unique().tolist()
        ]

    def _by_gradient(self) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        for ids, groups, _, _, largest_T in self._seen:
            if largest_T is not None:
                sizes = chain.from_iterable(_of_rows(group, largest_T) for group in groups)
                found += zip(ids, sizes, strict=True)
        return found


def _of_rows(group: PackedGroup, largest_T: torch.Tensor) -> list[float]:
    """The largest gradient of each response's own embeddings.

    What went wrong at a response's first token comes out in the prompt alone: then all of its rows are suspects.
    """
    own = [
        float(largest_T[start : start + length].amax()) if length else 0.0
        for start, length in zip(group.response_starts, group.response_lengths, strict=True)
    ]
    prompt = float(largest_T[group.start :][: group.prompt_length].amax())
    if math.isfinite(prompt) or not all(map(math.isfinite, own)):
        return own
    return [prompt] * len(own)


def told(update: int, row_ids: list[str], is_certain: bool, *, in_a_row: int, limit: int) -> str:
    """The alarm: which update, which rows, and what comes next."""
    named = ", ".join(row_ids[:NAMED_ROWS]) or "unknown, since embeddings have no gradient"
    who = (
        "Rows that made it"
        if is_certain
        else "No row's loss or gradient shows it (a sum too large, or a fault in the vision tower); the loudest row"
    )
    more = f" and {len(row_ids) - NAMED_ROWS} more" if len(row_ids) > NAMED_ROWS else ""
    return (
        f"update {update}: loss or gradient is not finite, so it was skipped; the weights are as before it. "
        f"{who}: {named}{more}. "
        f"{in_a_row} in a row; more than trainer.max_skipped_updates={limit} end the run"
    )
