"""Random Qwen2.5-VL models of three sizes with vr1-tiny's tokenizer, and prompts with pictures for them.

Nothing is downloaded. Weights are random by fan-in, so that answers vary and a wrong weight shows; near-uniform
ones would hide it. Head and embeddings have rows of no token, as the published models do.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from vr1_ray.figure_math.dataset import random_items, to_row
from vr1_ray.types import EncodedImage, Prompt

TINY_MODEL = Path(__file__).parents[1] / "vr1_tiny" / "model"
PROCESSOR_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "generation_config.json",
)
EMBEDDING_STD = 0.06
LOGIT_STD = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The sizes of a Qwen2.5-VL.

    Example:
        SHAPES["3b"].num_layers  # 36
    """

    hidden: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    intermediate: int
    vocab: int
    is_tied: bool
    rope_theta: float
    mrope_section: tuple[int, int, int]  # they add up to half a head
    vision_layers: int
    vision_hidden: int
    vision_heads: int
    vision_intermediate: int
    vision_full_attention: tuple[int, ...]  # layers; the others attend within windows


SHAPES = {
    # 2 M parameters
    "tiny": Shape(
        hidden=192, num_layers=3, num_heads=3, num_kv_heads=3, intermediate=288, vocab=544, is_tied=False,
        rope_theta=1e4, mrope_section=(8, 12, 12), vision_layers=2, vision_hidden=128, vision_heads=4,
        vision_intermediate=160, vision_full_attention=(0, 1),
    ),
    # 0.2 B, with the 7B's rope and heads of its size
    "small": Shape(
        hidden=1024, num_layers=12, num_heads=8, num_kv_heads=2, intermediate=2816, vocab=32768, is_tied=False,
        rope_theta=1e6, mrope_section=(16, 24, 24), vision_layers=8, vision_hidden=512, vision_heads=8,
        vision_intermediate=1368, vision_full_attention=(3, 7),
    ),
    # Qwen/Qwen2.5-VL-3B-Instruct, by its published config.json
    "3b": Shape(
        hidden=2048, num_layers=36, num_heads=16, num_kv_heads=2, intermediate=11008, vocab=151936, is_tied=True,
        rope_theta=1e6, mrope_section=(16, 24, 24), vision_layers=32, vision_hidden=1280, vision_heads=16,
        vision_intermediate=3420, vision_full_attention=(7, 15, 23, 31),
    ),
}  # fmt: skip


def write_config(folder: Path, shape: Shape) -> Path:
    """A model folder without weights: config, tokenizer and processor."""
    from transformers import AutoConfig

    folder.mkdir(parents=True, exist_ok=True)
    for name in PROCESSOR_FILES:
        shutil.copy(TINY_MODEL / name, folder / name)
    config = AutoConfig.from_pretrained(TINY_MODEL)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size = shape.hidden, shape.intermediate
    text.num_hidden_layers = text.max_window_layers = shape.num_layers
    text.num_attention_heads, text.num_key_value_heads = shape.num_heads, shape.num_kv_heads
    text.layer_types = ["full_attention"] * shape.num_layers
    text.vocab_size, text.max_position_embeddings = shape.vocab, 32768
    text.rope_parameters = {
        "rope_type": "default",
        "rope_theta": shape.rope_theta,
        "mrope_section": list(shape.mrope_section),
    }
    text.tie_word_embeddings = config.tie_word_embeddings = shape.is_tied
    vision.depth, vision.hidden_size = shape.vision_layers, shape.vision_hidden
    vision.num_heads, vision.intermediate_size = shape.vision_heads, shape.vision_intermediate
    vision.out_hidden_size = shape.hidden
    vision.fullatt_block_indexes = list(shape.vision_full_attention)
    config.save_pretrained(folder)
    return folder


def random_model(
    folder: Path, shape: Shape, *, dtype: str, device: str = "cpu", seed: int = 0
) -> Path:
    """Write a whole model folder; the weights are made on `device`."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    write_config(folder, shape)
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(AutoConfig.from_pretrained(folder))
    generator = torch.Generator(device).manual_seed(seed)
    weights = {}
    for name, parameter in model.named_parameters():  # a tied head is listed once
        made = torch.randn(parameter.shape, generator=generator, device=device)
        mean, std = _moments(name, parameter.shape, shape)
        weights[name] = (mean + std * made).to(getattr(torch, dtype)).cpu()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what comes next measures how much of the GPU is free
    return folder


def _moments(name: str, size: Any, shape: Shape) -> tuple[float, float]:
    """Mean and standard deviation of a weight."""
    if len(size) == 1:
        return (1.0, 0.1) if "norm" in name or "ln_q" in name else (0.0, 0.1)
    if "lm_head" in name or (shape.is_tied and "embed_tokens" in name):
        return 0.0, LOGIT_STD / math.sqrt(shape.hidden)  # what comes in has a mean square of 1
    if "embed_tokens" in name:
        return 0.0, EMBEDDING_STD
    return 0.0, 1 / math.sqrt(math.prod(size[1:]))


def make_prompts(number: int, *, seed: int = 0) -> list[Prompt]:
    """Figure-math questions; the second of each four has no picture, the third two."""
    rows = [to_row(figure, asked) for figure, asked, _ in random_items("train", seed, 2 * number)]
    pictures = [EncodedImage.from_bytes(row["images"][0]["bytes"]) for row in rows]
    prompts = []
    for index, row in enumerate(rows[:number]):
        text = row["problem"].removeprefix("<image>")
        count = {1: 0, 2: 2}.get(index % 4, 1)
        shown = (pictures[index], pictures[number + index])[:count]
        prompts.append(
            Prompt(
                prompt_id=f"gpu-check-{seed}-{index}",
                question="<image>" * count + text,
                images=shown,
                answer=row["answer"],
            )
        )
    return prompts


def random_responses(prompts: list[Prompt], tokens: int, *, seed: int = 0) -> list[tuple[int, ...]]:
    """For each prompt a response of ids that the tokenizer has, of between half of `tokens` and all."""
    rng = Random(seed)
    return [
        tuple(rng.randrange(20, 500) for _ in range(rng.randint(tokens // 2, tokens)))
        for _ in prompts
    ]
