"""Builds vr1-tiny before training: tokenizer, processor, configuration and initial weights.

It is transformers' own `Qwen2_5_VLForConditionalGeneration` and `Qwen2_5_VLProcessor`, only
small, so everything that loads a Qwen2.5-VL loads it. `train.py` calls `build` and then trains
what it returns.

    python examples/vr1_tiny/build.py --output /tmp/untrained        # an untrained model, in seconds
"""

import argparse
import json
import math
from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from vr1_ray.figure_math.drawing import read_out
from vr1_ray.figure_math.questions import random_question, solve
from vr1_ray.figure_math.thoughts import (
    CHOICES_REQUEST,
    COUNT_REQUEST,
    READ_OUT_REQUEST,
    STEP_REQUEST,
    demonstration,
    step_by_step,
)

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCABULARY_SIZE = 576  # special tokens included
PIXEL_LIMITS = {
    "shortest_edge": 28 * 28,
    "longest_edge": 28 * 28 * 64,
}  # a figure's 84x84 passes unresized

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'video' or 'video' in part -%}"
    "{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- elif 'text' in part -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def _corpus(number: int = 4000) -> list[str]:
    """Texts of every kind the model meets, for the tokenizer to learn its words from."""
    rng = Random(0)
    texts = [
        READ_OUT_REQUEST,
        COUNT_REQUEST,
        CHOICES_REQUEST,
        STEP_REQUEST,
        "user\n",
        "assistant\n",
        "system\n",
    ]
    for _ in range(number):
        figure, question = random_question(rng)
        texts += [
            question.text,
            read_out(figure),
            step_by_step(question, figure),
            demonstration(question, figure, rng),
            f"Answer:{solve(question, figure)}",
        ]
    return texts


def build_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer: 256 bytes, the words of `figure_math`, the special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    state = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(state["vocab"])
    # Special tokens get the ids after the learned ones, as in Qwen's own vocabulary.
    for token in SPECIAL_TOKENS:
        vocabulary[token] = len(vocabulary)
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[tuple(merge) for merge in state["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> Qwen2_5_VLProcessor:
    """The processor with its tokenizer, chat template and pixel limits."""
    vision = {"size": PIXEL_LIMITS, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**vision),
        tokenizer=build_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(**vision),
        chat_template=CHAT_TEMPLATE,
    )


def build_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    """About 1.9 million parameters; head_dim 64, which vLLM's CPU kernels want."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    num_tokens = len(tokenizer)
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": num_tokens,
            "hidden_size": 192,
            "intermediate_size": 288,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 12, 12],
            },
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 128,
            "intermediate_size": 160,
            "num_heads": 4,
            "out_hidden_size": 192,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [0, 1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def initialise(model: Qwen2_5_VLForConditionalGeneration, seed: int) -> None:
    """Fan-in initialisation: from transformers' default of 0.02 so small a model hardly learns to see."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_tokens" in name:
                parameter.normal_(0.0, 0.06, generator=generator)
            elif parameter.dim() >= 2:
                fan_in = math.prod(parameter.shape[1:])
                parameter.normal_(0.0, 1.0 / math.sqrt(fan_in), generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()


def build(seed: int) -> tuple[Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor]:
    """An untrained vr1-tiny and its processor."""
    processor = build_processor()
    model = Qwen2_5_VLForConditionalGeneration(build_config(processor.tokenizer)).float()
    initialise(model, seed)
    model.generation_config = GenerationConfig(
        eos_token_id=model.config.text_config.eos_token_id,
        pad_token_id=model.config.text_config.pad_token_id,
    )
    return model, processor


def save(
    model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2_5_VLProcessor, folder: Path
) -> None:
    """Writes the model folder whole or not at all: readers never see half of it."""
    temporary, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    model.save_pretrained(temporary)
    processor.save_pretrained(temporary)
    (temporary / "model.safetensors").chmod(0o644)  # written private by default
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    for leftover in sorted(old.glob("*")) if old.exists() else []:
        leftover.unlink()
    if old.exists():
        old.rmdir()


def main() -> None:
    """Builds and saves an untrained model."""
    parser = argparse.ArgumentParser(description="Build an untrained vr1-tiny.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model, processor = build(args.seed)
    save(model, processor, args.output)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.output}: {num_parameters:,} parameters, {len(processor.tokenizer)} tokens")


if __name__ == "__main__":
    main()
