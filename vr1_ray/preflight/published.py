"""Shapes of the published models, so that a recipe can be reckoned before anything is downloaded.

From their config.json files; `model_size.py` turns them into numbers. A model folder or a cached
config.json wins over these.
"""

from typing import Any

# hidden, layers, heads, KV heads, intermediate (text, vision), vocabulary, tied
_SHAPES = {
    "3B": (2048, 36, 16, 2, 11008, 3420, 151936, True),
    "7B": (3584, 28, 28, 4, 18944, 3420, 152064, False),
    "32B": (5120, 64, 40, 8, 27648, 3456, 152064, False),
    "72B": (8192, 80, 64, 8, 29568, 3456, 152064, False),
}
_NAMES = {
    **{f"Qwen/Qwen2.5-VL-{name}-Instruct": name for name in _SHAPES},
    **{f"Osilly/Vision-R1-{name}": name for name in ("7B", "32B", "72B")},
    "Osilly/Vision-R1-CI-7B": "7B",
}


def published_config(path: str) -> dict[str, Any] | None:
    """The fields of a published model's config.json that size it, or None for a name not known here."""
    if path not in _NAMES:
        return None
    hidden, layers, heads, kv_heads, text, vision, vocab, tied = _SHAPES[_NAMES[path]]
    return {
        "model_type": "qwen2_5_vl",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": text,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        "vision_config": {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": vision,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }
