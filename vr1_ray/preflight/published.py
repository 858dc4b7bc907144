"""Shapes of the published models, so that a recipe can be reckoned before anything is downloaded.

From their config.json files; `model_size.py` turns them into numbers. A model folder or a cached
config.json wins over these.
"""

from collections.abc import Iterator
from typing import Any

TEXT = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
    "tie_word_embeddings",
)
TOWER = {"depth": 32, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "qwen2_5_vl": {  # as TEXT, and the tower's intermediate size
        "3B": (2048, 36, 16, 2, 11008, 151936, True, 3420),
        "7B": (3584, 28, 28, 4, 18944, 152064, False, 3420),
        "32B": (5120, 64, 40, 8, 27648, 152064, False, 3456),
        "72B": (8192, 80, 64, 8, 29568, 152064, False, 3456),
    },
    "qwen2_vl": {
        "2B": (1536, 28, 12, 2, 8960, 151936, True),
        "7B": (3584, 28, 28, 4, 18944, 152064, False),
        "72B": (8192, 80, 64, 8, 29568, 152064, False),
    },
    "qwen3_vl": {  # and the tower's depth, hidden and intermediate size
        "2B": (2048, 28, 16, 8, 6144, 151936, True, 24, 1024, 4096),
        "4B": (2560, 36, 32, 8, 9728, 151936, True, 24, 1024, 4096),
        "8B": (4096, 36, 32, 8, 12288, 151936, False, 27, 1152, 4304),
        "32B": (5120, 64, 64, 8, 25600, 151936, False, 27, 1152, 4304),
    },
}


def _names() -> Iterator[tuple[str, tuple[str, str]]]:
    for family, name in (("qwen2_5_vl", "2.5"), ("qwen2_vl", "2"), ("qwen3_vl", "3")):
        for size in SHAPES[family]:
            yield f"Qwen/Qwen{name}-VL-{size}-Instruct", (family, size)
    for size in ("7B", "32B", "72B"):
        yield f"Osilly/Vision-R1-{size}", ("qwen2_5_vl", size)
    yield "Osilly/Vision-R1-CI-7B", ("qwen2_5_vl", "7B")


NAMES = dict(_names())  # published name -> (model type, size)


def published_config(path: str) -> dict[str, Any] | None:
    """The fields of a published model's config.json that size it, or None for a name not known here."""
    if path not in NAMES:
        return None
    family, size = NAMES[path]
    numbers = SHAPES[family][size]
    text = dict(zip(TEXT, numbers, strict=False))
    vision = VISION[family](numbers[0], numbers[len(TEXT) :])
    return {"model_type": family, **text, "vision_config": TOWER | vision}


def _qwen2_5_vl(hidden: int, tower: tuple[int, ...]) -> dict[str, Any]:
    return {"hidden_size": 1280, "intermediate_size": tower[0], "out_hidden_size": hidden}


def _qwen2_vl(hidden: int, _: tuple[int, ...]) -> dict[str, Any]:
    return {"embed_dim": 1280, "mlp_ratio": 4, "hidden_size": hidden}


def _qwen3_vl(hidden: int, tower: tuple[int, ...]) -> dict[str, Any]:
    depth, own, intermediate = tower
    return {
        "depth": depth,
        "hidden_size": own,
        "intermediate_size": intermediate,
        "out_hidden_size": hidden,
        "patch_size": 16,
        "num_position_embeddings": 48**2,
        "deepstack_visual_indexes": [8, 16, 24] if depth == 27 else [5, 11, 17],
    }


VISION = {"qwen2_5_vl": _qwen2_5_vl, "qwen2_vl": _qwen2_vl, "qwen3_vl": _qwen3_vl}
