"""Learning rate, token weights, sums and settings, by hand-worked numbers."""

import pytest
import torch

from tests.unit.training.sample_rows import model_config, tiny_adapter
from vr1_ray.config import OptimizerConfig, TrainerConfig
from vr1_ray.training.batch import VisionInputs, collate
from vr1_ray.training.deepspeed_config import deepspeed_config
from vr1_ray.training.mini_batch import (
    StepSums,
    refuse_non_finite,
    token_weights,
    totals_over_ranks,
)
from vr1_ray.training.schedule import learning_rate
from vr1_ray.training.weights import layer_of
from vr1_ray.types import TrainRow

CPU = torch.device("cpu")


def test_cosine_warms_up_linearly_and_ends_near_zero():
    config = OptimizerConfig(lr=1.0, schedule="cosine", warmup_ratio=0.2)
    rates = [learning_rate(config, update, 10) for update in range(10)]
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.5)
    assert rates == sorted(rates[:2]) + sorted(rates[2:], reverse=True)
    assert learning_rate(config, 10, 10) == pytest.approx(0.0)


def test_constant_stays_after_the_warm_up():
    config = OptimizerConfig(lr=2.0, warmup_ratio=0.5)
    assert [learning_rate(config, update, 4) for update in range(5)] == [1.0, 2.0, 2.0, 2.0, 2.0]


def rows_of(*lengths: int) -> list[TrainRow]:
    return [
        TrainRow(row_id=str(n), prompt_ids=(9,), response_ids=(9,) * n, image_hashes=())
        for n in lengths
    ]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("token_mean", [0.25] * 4), ("sequence_mean", [0.5, 1 / 6, 1 / 6, 1 / 6])],
)
def test_token_weights_add_up_to_one(aggregation, expected):
    rows = rows_of(1, 3)
    [totals] = totals_over_ranks([rows], [1], CPU)
    micro_batch = collate(rows, VisionInputs(tiny_adapter(), {}), pad_id=0, device=CPU)
    assert token_weights(micro_batch, totals, aggregation).tolist() == pytest.approx(expected)


def test_a_mini_batch_without_tokens_is_refused():
    with pytest.raises(ValueError, match="mini-batch 1"):
        totals_over_ranks([rows_of(2), rows_of(0)], [1, 1], CPU)


def test_sums_grow_and_keep_the_largest_difference():
    sums = StepSums()
    sums.add({"loss": torch.tensor(1.0)})
    sums.add({"loss": torch.tensor(2.0)})
    sums.add_difference(torch.tensor([0.1, 0.5]))
    sums.add_difference(torch.tensor([0.2]))
    found = sums.over_ranks(CPU)
    assert found["loss"] == 3.0
    assert found["compared"] == 3.0
    assert found["largest_difference"] == pytest.approx(0.5)


def test_a_loss_that_is_not_finite_names_its_rows():
    refuse_non_finite("loss", 1.0, 3, [])
    with pytest.raises(FloatingPointError, match=r"update 3: the loss is nan.*9f0c/4"):
        refuse_non_finite("loss", float("nan"), 3, ["9f0c/4"])


def test_bf16_without_sharding_keeps_float32_masters_through_stage_1():
    bf16 = deepspeed_config(model_config(dtype="bfloat16"), TrainerConfig(zero_stage=0))
    fp32 = deepspeed_config(model_config(), TrainerConfig(zero_stage=0))
    assert bf16["zero_optimization"]["stage"] == 1
    assert fp32["zero_optimization"]["stage"] == 0
    assert fp32["optimizer"]["params"]["torch_adam"]


def test_weights_are_gathered_layer_by_layer():
    assert layer_of("model.visual.blocks.1.attn.qkv.weight") == "model.visual.blocks.1"
    assert layer_of("model.language_model.norm.weight") == "model.language_model"
    assert layer_of("lm_head.weight") == "lm_head.weight"
