"""Features of images, as rows that take the place of a packed sequence's placeholders."""

from collections.abc import Sequence
from itertools import chain

import torch

from vr1_ray.models.base import ModelBatch

Level = Sequence[
    torch.Tensor
]  # what a layer of the tower makes of each image: [tokens, hidden], one an image


def check_placeholders(is_image_T: torch.Tensor, features: Level, batch: ModelBatch) -> None:
    """Raise ValueError for a group whose placeholders are not as many as the rows of its images."""
    for place, (group, shown) in enumerate(zip(batch.groups, batch.image_index_G, strict=True)):
        wanted = sum(len(features[index]) for index in shown)
        found = int(is_image_T[group.start : group.end].sum())
        if wanted != found:
            raise ValueError(
                f"group {place}: {found} image placeholders but {wanted} vision tokens of its images {shown}"
            )


def rows_shown(levels: list[Level], batch: ModelBatch, like: torch.Tensor) -> list[torch.Tensor]:
    """Of each level its rows, in the order the batch's placeholders show them; dtype and device as `like`."""
    shown = list(chain.from_iterable(batch.image_index_G))
    lengths = [len(feature) for feature in levels[0]]
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    rows = [torch.arange(starts[i], starts[i] + lengths[i], device=like.device) for i in shown]
    source = torch.cat(rows)
    return [torch.cat(list(level)).to(like.dtype).index_select(0, source) for level in levels]
