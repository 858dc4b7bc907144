"""Training rows -> padded micro-batches. Ragged until here; tensors are born here.

`plan_micro_batches` decides which rows go together (token budget, padding counted), `collate` makes the
tensors. Both are deterministic: the same rows give the same sums, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from vr1_ray.models.base import ModelAdapter, ModelBatch
from vr1_ray.types import EncodedImage, TrainRow

MAX_PADDING = 0.1  # share of a micro-batch
MIN_FILL = 1 / 8  # of the budget: a smaller micro-batch costs more in overhead than padding does


@dataclass(frozen=True, kw_only=True, slots=True)
class MicroBatch:
    """One forward-backward. `_N` runs over its response tokens, row after row.

    Example:
        micro_batch = collate([row], VisionInputs(adapter, images), pad_id=0, device=torch.device("cpu"))
        micro_batch.positions_N  # where, in the flattened [B * T] batch, each response token is predicted
    """

    rows: list[TrainRow]
    model_batch: ModelBatch
    positions_N: torch.Tensor
    token_ids_N: torch.Tensor
    row_index_N: torch.Tensor  # which row of the micro-batch a token belongs to
    row_lengths_B: torch.Tensor  # response tokens
    temperature_N: (
        torch.Tensor
    )  # as the policy is scored: greedy rows (0) by the plain distribution

    def per_token(self, values: Callable[[TrainRow], tuple[float, ...] | None]) -> torch.Tensor:
        """Per-token values of the rows as one [N] tensor. Raises ValueError for rows that lack some."""
        found = [values(row) for row in self.rows]
        for row, given in zip(self.rows, found, strict=True):
            if given is None or len(given) != len(row.response_ids):
                raise ValueError(
                    f"row {row.row_id}: {0 if given is None else len(given)} per-token values "
                    f"for {len(row.response_ids)} response tokens"
                )
        flat = np.fromiter(chain.from_iterable(given for given in found if given), dtype=np.float32)
        return torch.from_numpy(flat).to(self.positions_N.device)

    def per_row(self, values: Callable[[TrainRow], float]) -> torch.Tensor:
        """One value per row as a [B] tensor."""
        return torch.tensor([values(row) for row in self.rows], device=self.positions_N.device)


class VisionInputs:
    """The vision tower's inputs of each image, made once however many micro-batches and passes show it."""

    def __init__(self, adapter: ModelAdapter, images: dict[str, EncodedImage]) -> None:
        self.adapter = adapter
        self.images = images
        self._made: dict[str, dict[str, torch.Tensor]] = {}

    def of(self, hashes: list[str]) -> dict[str, torch.Tensor]:
        """Concatenated inputs of these images; a dummy image for none."""
        if not hashes:
            return self.adapter.vision_inputs([])
        for content_hash in hashes:
            if content_hash not in self._made:
                self._made[content_hash] = self.adapter.vision_inputs([self._image(content_hash)])
        made = [self._made[content_hash] for content_hash in hashes]
        return {key: torch.cat([inputs[key] for inputs in made]) for key in made[0]}

    def _image(self, content_hash: str) -> EncodedImage:
        if content_hash not in self.images:
            raise ValueError(
                f"image {content_hash}: a row shows it, but it did not come with the rows; "
                "send every image of the rows in `images`, by content hash"
            )
        return self.images[content_hash]


def filler_row(adapter: ModelAdapter) -> TrainRow:
    """A row of weight zero, for a rank that has fewer micro-batches than another."""
    end = adapter.end_ids[0]
    return TrainRow(
        row_id="filler",
        prompt_ids=(end,),
        response_ids=(end,),
        image_hashes=(),
        rollout_logprobs=(0.0,),
        ref_logprobs=(0.0,),
        weight=0.0,
    )


def row_length(row: TrainRow) -> int:
    """Prompt and response tokens."""
    return len(row.prompt_ids) + len(row.response_ids)


def plan_micro_batches(rows: list[TrainRow], max_tokens: int) -> list[list[int]]:
    """Which rows share a micro-batch: lists of indices into `rows`, each row exactly once.

    Rows of similar length go together, and among these the rows of one image. A row over the budget
    gets a micro-batch of its own. Each micro-batch holds at most `max_tokens`, padding counted, and is
    closed before that, once it is MIN_FILL full, where the next row would make more than MAX_PADDING of it
    padding.
    """
    if not rows:
        return []
    bucket = max(8, max(map(row_length, rows)) // 16)  # padding that is worth a shared image
    order = sorted(
        range(len(rows)),
        key=lambda index: (-(row_length(rows[index]) // bucket), rows[index].image_hashes, index),
    )
    plan: list[list[int]] = []
    width = filled = 0  # of the last micro-batch: its longest row, and its tokens without padding
    for index in order:
        length = row_length(rows[index])
        wider = max(width, length)
        padded = (len(plan[-1]) + 1) * wider if plan else 0
        is_dense = filled + length >= (1 - MAX_PADDING) * padded or filled < MIN_FILL * max_tokens
        if plan and padded <= max_tokens and is_dense:
            plan[-1].append(index)
            width, filled = wider, filled + length
        else:
            plan.append([index])
            width = filled = length
    return plan


def collate(
    rows: list[TrainRow], vision: VisionInputs, *, pad_id: int, device: torch.device
) -> MicroBatch:
    """Pad rows on the right. Each different image comes once; `image_index_B` says who shows which."""
    hashes = list(dict.fromkeys(chain.from_iterable(row.image_hashes for row in rows)))
    place = {content_hash: index for index, content_hash in enumerate(hashes)}
    lengths = np.array([row_length(row) for row in rows])
    width = int(lengths.max())
    mask = np.arange(width) < lengths[:, None]
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    ids[mask] = np.fromiter(
        chain.from_iterable(chain(row.prompt_ids, row.response_ids) for row in rows), dtype=np.int64
    )
    response_lengths = np.array([len(row.response_ids) for row in rows])
    row_index = np.repeat(np.arange(len(rows)), response_lengths)
    starts = np.array([len(row.prompt_ids) for row in rows])
    is_response = mask & (np.arange(width) >= starts[:, None])
    temperature = np.array([row.temperature or 1.0 for row in rows], dtype=np.float32)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    return MicroBatch(
        rows=rows,
        model_batch=ModelBatch(
            input_ids_BT=tensor(ids),
            attention_mask_BT=tensor(mask.astype(np.int64)),
            image_index_B=[
                [place[content_hash] for content_hash in row.image_hashes] for row in rows
            ],
            vision={key: value.to(device) for key, value in vision.of(hashes).items()},
        ),
        # The token at position p is predicted by the hidden state at p - 1.
        positions_N=tensor(np.flatnonzero(is_response) - 1),
        token_ids_N=tensor(ids[is_response]),
        row_index_N=tensor(row_index),
        row_lengths_B=tensor(response_lengths),
        temperature_N=tensor(temperature[row_index]),
    )
