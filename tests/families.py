"""A random tiny model of each family, in the folder layout that transformers writes: model, tokenizer, processor.

All share vr1-tiny's tokenizer and its chat template (text, pictures and turns as Qwen has them).
"""

import shutil
from pathlib import Path

from tests.builders import TINY_MODEL, random_weights, save_random_tiny_model
from vr1_ray.config import ModelConfig

SMALL = {  # of a language model
    "vocab_size": 544,  # seven rows that no token uses
    "hidden_size": 128,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "bos_token_id": None,
    "eos_token_id": 532,
    "pad_token_id": 530,
}
TOKENS = {
    "image_token_id": 535,
    "video_token_id": 536,
    "vision_start_token_id": 533,
    "vision_end_token_id": 534,
}
PIXELS = {"shortest_edge": 784, "longest_edge": 50176}


def _rope(**settings):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **settings}}


def _qwen2_vl(tied):
    from transformers import Qwen2VLConfig

    vision = {"depth": 2, "embed_dim": 64, "hidden_size": 128, "mlp_ratio": 2, "num_heads": 2}
    text = SMALL | _rope(mrope_section=[4, 6, 6])
    return Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied, **TOKENS)


def _qwen3_vl(tied):
    from transformers import Qwen3VLConfig

    vision = {
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_heads": 2,
        "out_hidden_size": 128,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0, 1],
    }
    text = SMALL | {"head_dim": 32} | _rope(mrope_section=[6, 5, 5], mrope_interleaved=True)
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied, **TOKENS)


def _qwen2(tied):
    from transformers import Qwen2Config

    return Qwen2Config(**SMALL, **_rope(), tie_word_embeddings=tied)


def _qwen3(tied):
    from transformers import Qwen3Config

    return Qwen3Config(**SMALL, **_rope(), head_dim=32, tie_word_embeddings=tied)


IMAGE_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def _internvl(tied):
    from transformers import InternVLConfig

    vision = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
    }
    return InternVLConfig(
        text_config=SMALL | _rope() | {"model_type": "qwen2", "tie_word_embeddings": tied},
        vision_config=vision,
        image_token_id=539,
        image_seq_length=4,
        tie_word_embeddings=tied,
    )


def _save_internvl_processor(folder):
    from transformers import AutoTokenizer, InternVLProcessor
    from transformers.models.got_ocr2 import GotOcr2ImageProcessor
    from transformers.models.internvl import InternVLVideoProcessor

    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL, extra_special_tokens=IMAGE_TOKENS)
    template = (TINY_MODEL / "chat_template.jinja").read_text()
    size = {"height": 56, "width": 56}
    InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=True),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=template.replace(
            "<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\\n"
        ),
    ).save_pretrained(folder)


def _save_qwen_processor(folder, processor, patch_size):
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor

    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL)
    processor(
        image_processor=Qwen2VLImageProcessor(patch_size=patch_size, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=_video(processor, patch_size),
        chat_template=(TINY_MODEL / "chat_template.jinja").read_text(),
    ).save_pretrained(folder)


def _video(processor, patch_size):
    from transformers.models.qwen2_vl import Qwen2VLVideoProcessor
    from transformers.models.qwen3_vl import Qwen3VLVideoProcessor

    is_third = "Qwen3" in processor.__name__
    return (Qwen3VLVideoProcessor if is_third else Qwen2VLVideoProcessor)(
        patch_size=patch_size, size=PIXELS
    )


def _save_processor(folder, model_type):
    from transformers import AutoTokenizer, Qwen2VLProcessor, Qwen3VLProcessor

    if model_type == "qwen2_vl":
        _save_qwen_processor(folder, Qwen2VLProcessor, 14)
    elif model_type == "qwen3_vl":
        _save_qwen_processor(folder, Qwen3VLProcessor, 16)
    elif model_type == "internvl":
        _save_internvl_processor(folder)
    else:
        tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL)
        tokenizer._processor_class = None  # vr1-tiny's names that of a vision-language model
        tokenizer.init_kwargs.pop("processor_class", None)
        tokenizer.save_pretrained(folder)
        shutil.copy(TINY_MODEL / "chat_template.jinja", folder)
    shutil.copy(TINY_MODEL / "generation_config.json", folder)


CONFIGS = {
    "qwen2_vl": _qwen2_vl,
    "qwen3_vl": _qwen3_vl,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "internvl": _internvl,
}
OUTSIDE = {
    "internvl": "examples/custom_model/internvl.py:InternVLAdapter"
}  # kept outside the package
FAMILIES = ("qwen2_5_vl", *CONFIGS)


def save_family(folder, model_type, *, tied=False, seed=0):
    """Write a random tiny model of this type; returns the folder."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    if model_type == "qwen2_5_vl":
        return save_random_tiny_model(folder, tied=tied, seed=seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = AutoModelForCausalLM if model_type in ("qwen2", "qwen3") else AutoModelForImageTextToText
    model = kind.from_config(CONFIGS[model_type](tied)).float()
    random_weights(model, seed=seed).save_pretrained(folder)
    _save_processor(folder, model_type)
    return folder


def family_config(folder, model_type, **settings):
    """How a run names such a model."""
    limits = {"min_pixels": PIXELS["shortest_edge"], "max_pixels": PIXELS["longest_edge"]}
    adapter = OUTSIDE.get(model_type, "")
    return ModelConfig(path=str(folder), adapter=adapter, max_model_len=256, **limits, **settings)


def sees_pictures(model_type):
    """Whether a family takes pictures."""
    return model_type not in ("qwen2", "qwen3")
