"""What Qwen2-VL, Qwen2.5-VL and Qwen3-VL share: images of any size as a grid of patches, and M-RoPE positions."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar

import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from vr1_ray.config import ModelConfig
from vr1_ray.models.base import ModelBatch
from vr1_ray.models.chat import ChatAdapter
from vr1_ray.models.image_rows import Level
from vr1_ray.models.packed_positions import packed_positions
from vr1_ray.types import EncodedImage


class QwenVLAdapter(ChatAdapter):
    """The family's image processor scales an image to between `min_pixels` and `max_pixels`, a whole grid of tokens."""

    banned_tokens: ClassVar[tuple[str, ...]] = (
        "<|image_pad|>",
        "<|video_pad|>",
        "<|vision_pad|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|im_start|>",
    )

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.image_processor.size = self._size

    @property
    def _size(self) -> dict[str, int]:
        return {"shortest_edge": self.config.min_pixels, "longest_edge": self.config.max_pixels}

    @property
    def _factor(self) -> int:
        """Pixels a side of one token."""
        return self.image_processor.patch_size * self.image_processor.merge_size

    def num_image_tokens(self, image: EncodedImage) -> int:
        width, height = image.shown_size()
        height, width = smart_resize(
            height,
            width,
            factor=self._factor,
            min_pixels=self.config.min_pixels,
            max_pixels=self.config.max_pixels,
        )
        return (height // self._factor) * (width // self._factor)

    def image_inputs(self, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        size = self._size
        if not images:  # the smallest the tower takes: one token
            images = [Image.new("RGB", (self._factor, self._factor))]
            size = {"shortest_edge": 1, "longest_edge": 4096}
        inputs = self.image_processor(images=images, size=size, return_tensors="pt")
        return {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}

    def image_features(self, inner: Any, vision: dict[str, torch.Tensor]) -> list[Level]:
        found = inner.get_image_features(
            vision["pixel_values"], vision["image_grid_thw"], return_dict=True
        )
        return [found.pooler_output]

    def positions(self, inner: Any, batch: ModelBatch) -> torch.Tensor:
        shown = list(chain.from_iterable(batch.image_index_G))
        grids = batch.vision["image_grid_thw"].to(batch.input_ids_T.device)
        return packed_positions(
            inner.get_rope_index, batch, self.image_id, grids[shown] if shown else None
        )

    def plain_inputs(
        self, model: Any, prompt_ids: tuple[int, ...], images: Sequence[EncodedImage | Image.Image]
    ) -> dict[str, torch.Tensor]:
        model.model.rope_deltas = None  # transformers keeps those of the last prompt
        found = super().plain_inputs(model, prompt_ids, images)
        if not images:
            return found
        is_image = found["input_ids"] == self.image_id
        merged = self.image_processor.merge_size**2
        wanted, has = int(found["image_grid_thw"].prod(-1).sum()) // merged, int(is_image.sum())
        if wanted != has:
            raise ValueError(
                f"the engine makes {wanted} vision tokens of its images, the prompt has {has} placeholders; "
                "both must scale images alike."
            )
        return {**found, "mm_token_type_ids": is_image.int()}

    def engine_options(self) -> dict[str, Any]:
        return {"mm_processor_kwargs": {"size": self._size}, **super().engine_options()}

    def vision_modules(self, model: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        visual: Any = model.model.visual  # type: ignore[union-attr]
        return torch.nn.ModuleList([visual.patch_embed, visual.blocks]), visual.merger
