"""Trainer's and engine's models of a published size on the meta device, where weights have shapes and no memory.

The configs are those published: every value that shapes a model or its positions, in the published layout, which has the
language model's settings at the top, `tie_word_embeddings` among them. Source:
huggingface.co/Qwen/Qwen2.5-VL-{3B,7B,32B,72B}-Instruct/blob/main/config.json, 2025.

`python -m tests.as_on_gpu.real_sizes FOLDER` prints as JSON what `measured` finds of each size; a process of its own, for
vLLM's distributed state is of the process.
"""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tests.builders import PROCESSOR_FILES, TINY_MODEL
from vr1_ray.config import ModelConfig
from vr1_ray.models import load_adapter
from vr1_ray.training.weights import weight_shapes

# hidden, layers, heads, KV heads, intermediate, of the vision tower, vocabulary, tied, max_window_layers
SHAPES = {
    "3B": (2048, 36, 16, 2, 11008, 3420, 151936, True, 70),
    "7B": (3584, 28, 28, 4, 18944, 3420, 152064, False, 28),
    "32B": (5120, 64, 40, 8, 27648, 3456, 152064, False, 64),
    "72B": (8192, 80, 64, 8, 29568, 3456, 152064, False, 80),
}
# Half of `total_size` in each model.safetensors.index.json: bfloat16 has two bytes.
NUM_PARAMETERS = {
    "3B": 3_754_622_976,
    "7B": 8_292_166_656,
    "32B": 33_452_718_336,
    "72B": 73_410_777_344,
}


def full_config(name: str) -> dict[str, Any]:
    """config.json of one size."""
    hidden, layers, heads, kv_heads, intermediate, vision, vocab, tied, window = SHAPES[name]
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "vision_token_id": 151654,
        "image_token_id": 151655,
        "video_token_id": 151656,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": intermediate,
        "max_position_embeddings": 128000,
        "max_window_layers": window,
        "model_type": "qwen2_5_vl",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": 32,
            "hidden_act": "silu",
            "hidden_size": 1280,
            "intermediate_size": vision,
            "num_heads": 16,
            "in_chans": 3,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "vocab_size": vocab,
    }


def save_config(name: str, folder: Path) -> Path:
    """A model folder without weights: the published config, vr1-tiny's tokenizer and processor."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in PROCESSOR_FILES:
        shutil.copy(TINY_MODEL / file, folder / file)
    (folder / "config.json").write_text(json.dumps(full_config(name)))
    return folder


def trainer_model(folder: Path) -> Any:
    """transformers' model, as the adapter loads it."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(
            AutoConfig.from_pretrained(folder), dtype=torch.bfloat16
        )
    model.tie_weights()  # `from_pretrained` does
    return model


def trained_by(model: Any) -> dict[str, int]:
    """Parameters with a gradient in RL and, with tower and projector frozen, in the cold start."""
    tower, projector = load_adapter(ModelConfig(path=str(TINY_MODEL))).vision_modules(model)
    found = {"rl": _num_trained(model)}
    tower.requires_grad_(False)
    projector.requires_grad_(False)
    return found | {"cold_start": _num_trained(model)}


def engine_model(folder: Path) -> tuple[Any, Any]:
    """vLLM's config and model."""
    from vllm.config import set_current_vllm_config
    from vllm.distributed import init_distributed_environment, initialize_model_parallel
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.model_loader.utils import initialize_model
    from vllm.utils.torch_utils import set_default_torch_dtype

    arguments = EngineArgs(
        model=str(folder), dtype="bfloat16", enforce_eager=True, max_model_len=10240
    )
    config = arguments.create_engine_config()
    with set_current_vllm_config(config):
        if not torch.distributed.is_initialized():
            init_distributed_environment(
                world_size=1,
                rank=0,
                local_rank=0,
                distributed_init_method=f"file://{folder}/rendezvous",
                backend="gloo",
            )
            initialize_model_parallel(1, 1)
        with set_default_torch_dtype(torch.bfloat16), torch.device("meta"):
            return config, initialize_model(vllm_config=config)


def measured(name: str, folder: Path) -> dict[str, Any]:
    """What the trainer sends of a size, what the engine takes of it, and the sizes that `vr1 check` reckons."""
    from vr1_ray.rollout.vllm_worker import PackedWeightTransfer

    save_config(name, folder)
    trainer = trainer_model(folder)
    engine_of_rank = SimpleNamespace(module=SimpleNamespace(model=trainer))
    sent = list(weight_shapes(engine_of_rank))
    config, engine = engine_model(folder)
    wanted = {key for key, _ in engine.named_parameters()}
    taken = set(
        engine.load_weights(sent)
    )  # raises for a name it doesn't know, and for another shape
    receiver = SimpleNamespace(model_config=config.model_config)
    caches = [
        layer.get_kv_cache_spec(config)
        for layer in config.compilation_config.static_forward_context.values()
        if hasattr(layer, "get_kv_cache_spec")
    ]
    caches = [spec for spec in caches if spec is not None]
    return {
        "sent": [key for key, _ in sent],
        "left_out": sorted(wanted - taken),
        "unknown": sorted(taken - wanted),
        "is_tied": PackedWeightTransfer._is_tied.fget(receiver),  # type: ignore[attr-defined]
        "parameters": {
            "sent": sum(tensor.numel() for _, tensor in sent),
            "engine": sum(weight.numel() for weight in engine.parameters()),
            **trained_by(trainer),
        },
        "kv_bytes_per_token": sum(spec.page_size_bytes // spec.block_size for spec in caches),
    }


def _num_trained(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


if __name__ == "__main__":
    print(json.dumps({name: measured(name, Path(sys.argv[1]) / name) for name in SHAPES}))
