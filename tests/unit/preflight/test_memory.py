"""The memory formulas, on numbers small enough to work out by hand."""

from dataclasses import replace

import pytest

from tests.unit.preflight.shapes import published_size
from vr1_ray.preflight.memory import (
    TrainerShape,
    activation_bytes,
    checkpoint_bytes,
    engine_kv_bytes,
    engine_weight_bytes,
    layer_elements,
    logit_bytes,
    trainer_memory,
)
from vr1_ray.preflight.model_size import ModelSize, TextShape, VisionShape

# What is made of the counts is tested here; test_model_size.py tests the counts themselves.
SMALL = ModelSize(
    text=TextShape(
        num_layers=3, hidden=4, intermediate=10, num_heads=2, num_kv_heads=1, head_dim=2, vocab=100,
        is_tied=False,
    ),
    vision=VisionShape(
        num_layers=2, hidden=8, intermediate=6, patch=14, merge=2, tower_parameters=300,
        merger_parameters=200,
    ),
)  # fmt: skip
T = SMALL.num_parameters
P = SMALL.text.num_parameters

BF16_ZERO3 = TrainerShape(
    num_ranks=4,
    zero_stage=3,
    dtype_bytes=2,
    num_trained=P,
    offloads=False,
    checkpoints_activations=True,
    micro_batch_tokens=100,
    image_tokens=0,
    chunk_tokens=10,
)


def test_zero3_shares_weights_gradients_and_optimizer_among_the_ranks():
    memory = trainer_memory(SMALL, BF16_ZERO3)
    assert memory.weights == 2 * T / 4
    assert memory.gradients == 4 * P / 4
    assert memory.optimizer == 12 * P / 4
    assert memory.host == 0


def test_lower_stages_keep_more_on_each_rank():
    zero2 = trainer_memory(SMALL, replace(BF16_ZERO3, zero_stage=2))
    assert (zero2.weights, zero2.gradients, zero2.optimizer) == (2 * T, P, 3 * P)
    # ZeRO-1 in bfloat16: the gradients as they come and their float32 sum, both whole.
    zero1 = trainer_memory(SMALL, replace(BF16_ZERO3, zero_stage=1))
    assert (zero1.weights, zero1.gradients, zero1.optimizer) == (2 * T, 6 * P, 3 * P)
    plain = trainer_memory(SMALL, replace(BF16_ZERO3, zero_stage=0, dtype_bytes=4))
    assert (plain.weights, plain.gradients, plain.optimizer) == (4 * T, 4 * P, 8 * P)
    assert plain.buffers == 0


def test_under_zero_2_in_bf16_gradients_are_summed_on_the_gpu_before_they_are_offloaded():
    shape = replace(BF16_ZERO3, zero_stage=2, offloads=True)
    memory = trainer_memory(SMALL, shape)
    assert memory.summed == 4 * shape.num_trained / shape.num_ranks
    assert memory.device - memory.at_rest == memory.activations + memory.logits + memory.summed
    assert trainer_memory(SMALL, replace(shape, dtype_bytes=4)).summed == 0
    assert trainer_memory(SMALL, replace(shape, offloads=False)).summed == 0


def test_offload_moves_optimizer_and_sharded_gradients_to_the_host():
    memory = trainer_memory(SMALL, replace(BF16_ZERO3, offloads=True))
    assert (memory.gradients, memory.optimizer) == (0, 0)
    assert memory.host == (12 + 4) * P / 4


def test_buffers_are_deepspeeds_defaults_once_a_model_is_large(tmp_path):
    size = published_size("7b", tmp_path)
    memory = trainer_memory(size, replace(BF16_ZERO3, num_trained=size.num_parameters))
    assert memory.buffers == 2 * 500_000_000 + 2 * 1_000_000_000
    zero2 = replace(BF16_ZERO3, num_trained=size.num_parameters, zero_stage=2)
    assert trainer_memory(size, zero2).buffers == 2 * 500_000_000
    assert trainer_memory(size, replace(zero2, overlaps=True)).buffers == 2 * 2 * 500_000_000


def test_without_checkpointing_zero3_keeps_every_gathered_weight_for_the_backward_pass(tmp_path):
    size = published_size("7b", tmp_path)
    shape = replace(BF16_ZERO3, num_trained=size.num_parameters, checkpoints_activations=False)
    memory = trainer_memory(size, shape)
    assert memory.buffers == 2 * 500_000_000 + 2 * size.num_parameters


def test_a_layer_keeps_norms_attention_and_mlp():
    # 8 x 4 + 3 x 4 + 3 x 2 + 4 x 10
    assert layer_elements(4, 4, 2, 10) == 32 + 12 + 6 + 40 == 90


def test_checkpointing_keeps_one_hidden_state_a_layer_and_one_layer_whole():
    # 100 tokens x 2 bytes x (3 layers x 4 + 90)
    assert activation_bytes(SMALL, BF16_ZERO3) == 100 * 2 * (12 + 90)
    all_kept = replace(BF16_ZERO3, checkpoints_activations=False)
    assert activation_bytes(SMALL, all_kept) == 100 * 2 * 3 * 90


def test_a_trained_vision_tower_keeps_its_patches_too():
    # A patch: 2 layers x 8, and one layer 8 x 8 + 3 x 8 + 3 x 8 + 4 x 6 = 136; 5 merged tokens are 20 patches.
    shown = replace(BF16_ZERO3, image_tokens=5)
    extra = activation_bytes(SMALL, shown) - activation_bytes(SMALL, BF16_ZERO3)
    assert extra == 20 * 2 * (16 + 136)


def test_logits_exist_for_one_chunk_six_times_in_float32():
    assert logit_bytes(SMALL.text, 10) == 10 * 100 * 6 * 4


def test_7b_on_32_ranks_keeps_18_bytes_a_parameter_between_them(tmp_path):
    size = published_size("7b", tmp_path)
    shape = replace(BF16_ZERO3, num_ranks=32, num_trained=size.num_parameters)
    memory = trainer_memory(size, shape)
    # 2 + 4 + 12 bytes x 8_292_166_656 / 32 = 4_664_343_744, or 4.3 GiB
    assert memory.weights + memory.gradients + memory.optimizer == 4_664_343_744


def test_tensor_parallel_engines_share_weights_and_kv_heads(tmp_path):
    size = published_size("7b", tmp_path)
    assert engine_weight_bytes(size, dtype_bytes=2, tensor_parallel=2) == 8_292_166_656
    assert engine_kv_bytes(size, dtype_bytes=2, tensor_parallel=1) == 57_344
    assert engine_kv_bytes(size, dtype_bytes=2, tensor_parallel=4) == 57_344 / 4
    # Four KV heads on seven devices: each holds one, some the same one.
    assert engine_kv_bytes(size, dtype_bytes=2, tensor_parallel=7) == 57_344 / 4


@pytest.mark.parametrize(
    ("dtype_bytes", "stage", "state"),
    [
        # Bytes a parameter that a checkpoint of examples/vr1_tiny had after one update, all weights trained:
        # 12.06, 16.05, 12.05, 14.05 and 12.05.
        (4, 0, 12),
        (4, 1, 16),
        (4, 3, 12),
        (2, 1, 14),
        (2, 3, 12),
    ],
)
def test_a_checkpoint_is_deepspeeds_state_beside_the_policy(dtype_bytes, stage, state):
    shape = replace(BF16_ZERO3, dtype_bytes=dtype_bytes, zero_stage=stage, num_trained=T)
    assert checkpoint_bytes(SMALL, shape) == (dtype_bytes + state) * T
