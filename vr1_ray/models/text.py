"""Qwen2, Qwen2.5 and Qwen3, which see no pictures: for tasks of text alone, and to try an idea cheaply."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer

from vr1_ray.models.base import RenderedPrompt
from vr1_ray.models.chat import ChatAdapter
from vr1_ray.models.image_rows import Level
from vr1_ray.types import EncodedImage, Prompt


class TextAdapter(ChatAdapter):
    """The adapter of dense text models of Qwen.

    Example:
        TextAdapter(ModelConfig(path="Qwen/Qwen3-4B-Instruct-2507")).render(prompt).prompt_ids
    """

    model_types: ClassVar[tuple[str, ...]] = ("qwen2", "qwen3")
    auto_model: ClassVar[Any] = AutoModelForCausalLM
    banned_tokens: ClassVar[tuple[str, ...]] = ("<|im_start|>",)

    def load_processor(self) -> Any:
        return AutoTokenizer.from_pretrained(self.config.path, **self._remote())

    def image_placeholder(self) -> tuple[str, int]:
        return "", -1

    def content(self, parts: list[str]) -> str:
        return "".join(parts)

    def render(self, prompt: Prompt) -> RenderedPrompt:
        if prompt.images:
            raise ValueError(
                f"prompt {prompt.prompt_id}: has a picture, but model.path={self.config.path!r} is a model of type "
                f"{self.model_config.model_type!r}, which sees none; take a vision-language model, or rows without pictures."
            )
        return super().render(prompt)

    def num_image_tokens(self, image: EncodedImage) -> int:
        raise AssertionError("`render` refuses pictures")

    def image_inputs(self, images: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        return {}

    def image_features(self, inner: Any, vision: dict[str, torch.Tensor]) -> list[Level]:
        return []

    def language_model(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.model  # type: ignore[return-value]

    def vision_modules(self, model: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        return torch.nn.ModuleList(), torch.nn.ModuleList()
