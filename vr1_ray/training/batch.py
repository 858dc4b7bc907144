"""Training rows -> packed micro-batches: one sequence of groups without padding. Tensors are born here.

Which rows go together is planned in `dealing.py`. Both are deterministic: the same rows give the same sums, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import torch

from vr1_ray.models.base import ModelAdapter, ModelBatch
from vr1_ray.models.packing import lay_out
from vr1_ray.training.rows import prompt_of
from vr1_ray.types import EncodedImage, TrainRow


@dataclass(frozen=True, kw_only=True, slots=True)
class MicroBatch:
    """One forward-backward. `_N` runs over its response tokens, row after row.

    Example:
        micro_batch = collate([row], VisionInputs(adapter, images), device=torch.device("cpu"))
        micro_batch.positions_N  # where in the packed sequence each response token is predicted
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


def collate(rows: list[TrainRow], vision: VisionInputs, *, device: torch.device) -> MicroBatch:
    """Pack rows: those of one prompt that follow one another are a group. Each different image comes once."""
    groups = [list(same) for _, same in groupby(rows, key=prompt_of)]
    firsts = [group[0] for group in groups]
    hashes = list(dict.fromkeys(chain.from_iterable(row.image_hashes for row in firsts)))
    place = {content_hash: index for index, content_hash in enumerate(hashes)}
    laid = lay_out(
        [(len(rows[0].prompt_ids), [len(row.response_ids) for row in rows]) for rows in groups]
    )
    parts = [part for rows in groups for part in (rows[0].prompt_ids, *_responses(rows))]
    ids = np.fromiter(chain.from_iterable(parts), dtype=np.int64)
    lengths = np.array([len(row.response_ids) for row in rows])
    starts = np.array([start for group in laid for start in group.response_starts])
    last_of_prompt = np.repeat(
        [group.start + group.prompt_length - 1 for group in laid], [len(rows) for rows in groups]
    )
    row_index = np.repeat(np.arange(len(rows)), lengths)
    ahead = np.arange(len(row_index)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    own = starts[row_index] + ahead
    temperature = np.array([row.temperature or 1.0 for row in rows], dtype=np.float32)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    return MicroBatch(
        rows=rows,
        model_batch=ModelBatch(
            input_ids_T=tensor(ids),
            groups=laid,
            image_index_G=[[place[image] for image in row.image_hashes] for row in firsts],
            vision={key: value.to(device) for key, value in vision.of(hashes).items()},
        ),
        # A token is predicted by the hidden state before it: the first of a response by its prompt's last.
        positions_N=tensor(np.where(ahead == 0, last_of_prompt[row_index], own - 1)),
        token_ids_N=tensor(ids[own]),
        row_index_N=tensor(row_index),
        row_lengths_B=tensor(lengths),
        temperature_N=tensor(temperature[row_index]),
    )


def _responses(rows: list[TrainRow]) -> list[tuple[int, ...]]:
    return [row.response_ids for row in rows]
