"""Qwen2.5-VL, the paper's base. All that it needs is what the Qwen families share."""

from typing import ClassVar

from vr1_ray.models.qwen_vl import QwenVLAdapter


class Qwen25VLAdapter(QwenVLAdapter):
    """The adapter of Qwen2.5-VL models of any size.

    Example:
        adapter = Qwen25VLAdapter(ModelConfig(path="Qwen/Qwen2.5-VL-7B-Instruct"))
        adapter.render(prompt).prompt_ids
    """

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl",)
