"""Qwen3-VL, dense: features of the tower's middle also enter the first language layers (DeepStack, arXiv 2406.04334).

Its tokens are 32 pixels a side, not 28, and its M-RoPE is interleaved; transformers does that by itself. A video's
timestamps are text of its template; videos are not taken here. Of the two kinds published take Instruct: Thinking's
template opens `<think>` in the prompt, so that no response could have the hard format.
"""

from typing import Any, ClassVar

import torch

from vr1_ray.models.image_rows import Level
from vr1_ray.models.qwen_vl import QwenVLAdapter


class Qwen3VLAdapter(QwenVLAdapter):
    """The adapter of dense Qwen3-VL models of any size.

    Example:
        Qwen3VLAdapter(ModelConfig(path="Qwen/Qwen3-VL-8B-Instruct")).render(prompt).prompt_ids
    """

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_vl",)

    def image_features(self, inner: Any, vision: dict[str, torch.Tensor]) -> list[Level]:
        found = inner.get_image_features(
            vision["pixel_values"], vision["image_grid_thw"], return_dict=True
        )
        return [found.pooler_output, *found.deepstack_features]

    def language_inputs(
        self, is_image_T: torch.Tensor, deeper: list[torch.Tensor]
    ) -> dict[str, Any]:
        return {"visual_pos_masks": is_image_T.unsqueeze(0), "deepstack_visual_embeds": deeper}

    def vision_modules(self, model: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        visual: Any = model.model.visual  # type: ignore[union-attr]
        tower = [visual.patch_embed, visual.pos_embed, visual.blocks]
        projector = [visual.merger, visual.deepstack_merger_list]
        return torch.nn.ModuleList(tower), torch.nn.ModuleList(projector)
