"""Positions of a packed sequence: a response goes on from its prompt's last position, wherever it stands."""

from collections.abc import Callable

import numpy as np
import torch

from vr1_ray.models.base import ModelBatch
from vr1_ray.models.packing import places_of


def packed_positions(
    rope_index: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    batch: ModelBatch,
    image_id: int,
    grids: torch.Tensor | None,
) -> torch.Tensor:
    """[3, 1, T]: prompts as transformers' `get_rope_index` counts them, responses on from their prompt's next position.

    `grids`: of the images in the order of the placeholders, [images, 3]; None for none.
    """
    ids_T = batch.input_ids_T
    prompts = [ids_T[group.start :][: group.prompt_length] for group in batch.groups]
    prompts_GP = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
    lengths_G = torch.tensor([len(prompt) for prompt in prompts], device=ids_T.device)
    is_real_GP = torch.arange(prompts_GP.shape[1], device=ids_T.device) < lengths_G[:, None]
    of_prompts, deltas = rope_index(
        prompts_GP,
        mm_token_type_ids=((prompts_GP == image_id) & is_real_GP).int(),
        image_grid_thw=grids,
        attention_mask=is_real_GP.long(),
    )
    next_G = lengths_G + deltas.flatten()  # deltas: a prompt's next position less its length
    places = places_of(batch.groups)
    group_T, place_T, is_prompt_T = (
        torch.from_numpy(array).to(ids_T.device)
        for array in (places.group_T, places.place_T, places.is_prompt_T)
    )
    positions_3T = (next_G[group_T] + place_T).repeat(3, 1)
    positions_3T[:, is_prompt_T] = of_prompts[:, is_real_GP]
    return positions_3T.unsqueeze(1)


def plain_positions(batch: ModelBatch) -> torch.Tensor:
    """[1, T]: one position a token."""
    places = places_of(batch.groups)
    lengths_G = np.array([group.prompt_length for group in batch.groups])
    before_T = np.where(places.is_prompt_T, 0, lengths_G[places.group_T])
    return torch.from_numpy(before_T + places.place_T).to(batch.input_ids_T.device).unsqueeze(0)
