"""InternVL3 (the `-hf` models) as a family outside the package: `model.adapter: examples/custom_model/internvl.py:InternVLAdapter`.

An image is cut into tiles of one size, with a small view of the whole behind them; each tile is as many tokens. Tiles
are the only measure: of `model.max_pixels` as many fit, `model.min_pixels` has no effect. See what a picture becomes:

    python examples/custom_model/internvl.py OpenGVLab/InternVL3-2B-hf examples/your_data/figure.png
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from vr1_ray.config import ModelConfig
from vr1_ray.models.chat import ChatAdapter
from vr1_ray.models.image_rows import Level
from vr1_ray.types import EncodedImage, Prompt


class InternVLAdapter(ChatAdapter):
    """What InternVL3 needs beside what every family with a chat template gets.

    Example:
        InternVLAdapter(ModelConfig(path="OpenGVLab/InternVL3-2B-hf", max_pixels=448 * 448 * 6))
    """

    model_types: ClassVar[tuple[str, ...]] = ("internvl",)
    banned_tokens: ClassVar[tuple[str, ...]] = (
        "<IMG_CONTEXT>",
        "<img>",
        "</img>",
        "<video>",
        "<|im_start|>",
    )

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        side = dict(self.image_processor.size)
        fitting = config.max_pixels // (side["height"] * side["width"])
        self.tiling = {"crop_to_patches": True, "max_patches": max(1, min(fitting, 12))}
        for name, value in self.tiling.items():  # so that it is saved with the policy
            setattr(self.image_processor, name, value)

    def num_image_tokens(self, image: EncodedImage) -> int:
        width, height = image.shown_size()
        tiles = self.image_processor.get_number_of_image_patches(height, width, self.tiling)
        return int(tiles * self.processor.image_seq_length)

    def image_ids(self, image: EncodedImage) -> list[int]:
        start, end = self.processor.start_image_token_id, self.processor.end_image_token_id
        return [start, *super().image_ids(image), end]

    def image_inputs(self, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        shown = images or [Image.new("RGB", (8, 8))]  # one tile
        made = self.image_processor(images=shown, return_tensors="pt", **self.tiling)
        return {
            "pixel_values": made["pixel_values"],
            "num_tiles": torch.as_tensor(made["num_patches"]),
        }

    def image_features(self, inner: Any, vision: dict[str, torch.Tensor]) -> list[Level]:
        found = inner.get_image_features(vision["pixel_values"], return_dict=True).pooler_output
        of_images = found.split(vision["num_tiles"].tolist())
        return [[tiles.flatten(0, 1) for tiles in of_images]]

    def plain_inputs(
        self, model: Any, prompt_ids: tuple[int, ...], images: Sequence[EncodedImage | Image.Image]
    ) -> dict[str, torch.Tensor]:
        found = super().plain_inputs(model, prompt_ids, images)
        found.pop("num_tiles", None)
        return found

    def engine_options(self) -> dict[str, Any]:
        return {"mm_processor_kwargs": self.tiling, **super().engine_options()}

    def vision_modules(self, model: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
        return model.model.vision_tower, model.model.multi_modal_projector


def main() -> None:
    """Render a question about a picture, with a model's own template and processor."""
    path, picture = sys.argv[1:]
    adapter = InternVLAdapter(ModelConfig(path=path))
    image = EncodedImage.from_bytes(Path(picture).read_bytes())
    ids = adapter.render(Prompt(prompt_id="0", question="<image>What is it?", images=(image,)))
    tiles = int(adapter.vision_inputs([image])["num_tiles"])
    print(f"{tiles} tiles, {ids.prompt_ids.count(adapter.image_id)} tokens of the picture")
    print(adapter.tokenizer.decode(ids.engine_ids))


if __name__ == "__main__":
    main()
