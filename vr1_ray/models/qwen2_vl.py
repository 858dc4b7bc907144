"""Qwen2-VL: its tower sees whole images in every layer, and scales and positions them as Qwen2.5-VL does."""

from typing import ClassVar

from vr1_ray.models.qwen_vl import QwenVLAdapter


class Qwen2VLAdapter(QwenVLAdapter):
    """The adapter of Qwen2-VL models of any size.

    Example:
        Qwen2VLAdapter(ModelConfig(path="Qwen/Qwen2-VL-2B-Instruct")).render(prompt).prompt_ids
    """

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_vl",)
