"""Published shapes of Qwen2.5-VL, as its config.json files give them, for tests that download nothing."""

import json
from pathlib import Path

from vr1_ray.preflight.model_size import ModelSize, read_model_size

TEXT = {  # hidden, layers, heads, KV heads, intermediate
    "7b": (3584, 28, 28, 4, 18944),
    "32b": (5120, 64, 40, 8, 27648),
    "72b": (8192, 80, 64, 8, 29568),
}


def published_config(name: str) -> dict:
    """The fields of config.json that size a model, in the flat layout of the published models."""
    hidden, layers, heads, kv_heads, intermediate = TEXT[name]
    return {
        "model_type": "qwen2_5_vl",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "vision_config": {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420 if name == "7b" else 3456,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def published_size(name: str, folder: Path) -> ModelSize:
    (folder / "config.json").write_text(json.dumps(published_config(name)))
    return read_model_size(str(folder))
