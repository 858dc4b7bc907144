"""Folders of the published models without their weights: config.json and vocabulary as published, the rest vr1-tiny's.

The values are those of Qwen2.5-VL's files on the Hugging Face hub: of config.json what `preflight/published.py` has not,
of the tokenizer the special tokens with their ids. Below them are vr1-tiny's tokens, and filling up to 151,643.
"""

import json
import shutil
from pathlib import Path

from tests.builders import PROCESSOR_FILES, TINY_MODEL
from vr1_ray.preflight.published import published_config

NUM_ORDINARY_TOKENS = 151_643
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip


def save_published_model(path: str, folder: Path, *, has_whole_vocabulary: bool = False) -> Path:
    """Write into `folder` what an engine reads of the published model `path` before it loads weights.

    Without its whole vocabulary, which takes seconds to read, it has vr1-tiny's tokens and their ids.
    """
    config = published_config(path)
    assert config is not None, f"{path} is no published model"
    folder.mkdir(parents=True)
    for name in PROCESSOR_FILES:
        shutil.copy(TINY_MODEL / name, folder / name)
    config["vision_config"] |= {
        "model_type": "qwen2_5_vl",
        "hidden_act": "silu",
        "num_heads": 16,
        "in_chans": 3,
        "spatial_patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    config |= {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "torch_dtype": "bfloat16",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "max_position_embeddings": 128000,
        "use_sliding_window": False,
    }
    ids = _write_vocabulary(folder) if has_whole_vocabulary else _ids(folder)
    config |= {
        "eos_token_id": ids["<|im_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    generation = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


def _ids(folder: Path) -> dict[str, int]:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def _write_vocabulary(folder: Path) -> dict[str, int]:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    model, sample = tokenizer["model"], tokenizer["added_tokens"][0]
    ordinary = {name: number for name, number in model["vocab"].items() if name not in _ids(folder)}
    filling = range(len(ordinary), NUM_ORDINARY_TOKENS)
    model["vocab"] = ordinary | {f"filling {number}": number for number in filling}
    tokenizer["added_tokens"] = [
        sample | {"id": number, "content": token}
        for number, token in enumerate(SPECIAL_TOKENS, start=NUM_ORDINARY_TOKENS)
    ]
    path.write_text(json.dumps(tokenizer))
    return _ids(folder)
