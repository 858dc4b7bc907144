"""Learning rate, token weights, sums and settings, by hand-worked numbers."""

import math

import pytest
import torch

from tests.unit.training.sample_rows import model_config, tiny_adapter
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig, OptimizerConfig, TrainerConfig
from vr1_ray.training.batch import VisionInputs, collate
from vr1_ray.training.deepspeed_config import deepspeed_config
from vr1_ray.training.mini_batch import (
    StepSums,
    step_metrics,
    token_weights,
    totals_over_ranks,
)
from vr1_ray.training.non_finite import Suspects, spread, told
from vr1_ray.training.schedule import first_horizon, learning_rate
from vr1_ray.training.weights import layer_of
from vr1_ray.types import TrainRow

CPU = torch.device("cpu")


def test_cosine_warms_up_linearly_and_ends_near_zero():
    config = OptimizerConfig(lr=1.0, schedule="cosine", warmup_ratio=0.2)
    horizon = first_horizon(config, 10)
    rates = [learning_rate(config, update, horizon) for update in range(10)]
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.5)
    assert rates == sorted(rates[:2]) + sorted(rates[2:], reverse=True)
    assert learning_rate(config, 10, horizon) == pytest.approx(0.0)


def test_constant_stays_after_the_warm_up():
    config = OptimizerConfig(lr=2.0, warmup_ratio=0.5)
    horizon = first_horizon(config, 4)
    rates = [learning_rate(config, update, horizon) for update in range(5)]
    assert rates == [1.0, 2.0, 2.0, 2.0, 2.0]


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
    micro_batch = collate(rows, VisionInputs(tiny_adapter(), {}), device=CPU)
    algorithm = make_algorithm(AlgorithmConfig(loss_aggregation=aggregation))
    assert token_weights(micro_batch, totals, algorithm).tolist() == pytest.approx(expected)


def test_a_constant_length_gives_each_token_the_same_weight_in_every_mini_batch():
    # Dr. GRPO: 1 / (2 responses x 8); token_mean would give 1/4 here and 1/2 with responses half as long.
    algorithm = make_algorithm(AlgorithmConfig(loss_aggregation="constant_length", loss_length=8))
    for lengths in ((1, 3), (1, 1)):
        rows = rows_of(*lengths)
        [totals] = totals_over_ranks([rows], [1], CPU)
        micro_batch = collate(rows, VisionInputs(tiny_adapter(), {}), device=CPU)
        found = token_weights(micro_batch, totals, algorithm)
        assert found.tolist() == [1 / 16] * sum(lengths)


def test_a_mini_batch_without_tokens_is_refused():
    with pytest.raises(ValueError, match="mini-batch 1"):
        totals_over_ranks([rows_of(2), rows_of(0)], [1, 1], CPU)


def test_sums_grow():
    sums = StepSums()
    sums.add({"loss": torch.tensor(1.0)})
    sums.add({"loss": torch.tensor(2.0)})
    assert sums.over_ranks(CPU) == {"loss": 3.0}


def test_a_skipped_update_keeps_the_comparison_with_the_engine_and_no_other_sum():
    own, sums = StepSums(), StepSums()
    own.add({"loss": torch.tensor(torch.nan), "entropy": torch.tensor(torch.nan)})
    own.differences.add(torch.tensor([0.25, 0.75]))
    sums.merge(own.without_update())
    [totals] = totals_over_ranks([rows_of(2)], [1], CPU)
    compared = sums.differences.over_ranks(CPU)
    assert (compared["logprob_diff/mean"], compared["logprob_diff/max"]) == (0.5, 0.75)
    found = step_metrics(sums.over_ranks(CPU), [])
    assert math.isnan(found["loss"])
    assert math.isnan(found["entropy"])
    own.add({"loss": torch.tensor(3.0), "entropy": torch.tensor(4.0)})
    sums.merge(StepSums(sums={name: torch.tensor(4.0) for name in own.sums}))
    found = step_metrics(sums.over_ranks(CPU), [totals])
    assert (found["loss"], found["entropy"]) == (4.0, 2.0)  # 4 over one update, over two tokens


def test_only_a_loss_that_is_not_finite_spreads():
    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    spread(weight[0] * 5).backward()
    assert weight.grad.tolist() == [5.0, 0.0]
    weight.grad = None
    spread(torch.inf * weight[0] + 0.0 * weight[1]).backward()
    assert weight.grad.isnan().all()


def suspects_of(losses, gradients):
    rows = rows_of(2, 3)
    micro_batch = collate(rows, VisionInputs(tiny_adapter(), {}), device=CPU)
    suspects = Suspects()
    suspects.add(micro_batch, torch.tensor(losses), gradients and torch.tensor(gradients))
    return suspects


@pytest.mark.parametrize(
    ("losses", "gradients", "culprits"),
    [
        # Gradients of the prompt's token, of two tokens of the first response, of three of the second.
        ([1.0, 1.0, 1.0, torch.inf, 1.0], [torch.nan] * 6, (["3"], True)),
        ([1.0] * 5, [torch.nan, torch.nan, 0.0, 7.0, 7.0, 0.0], (["2"], True)),
        ([1.0] * 5, [torch.nan, 1.0, 0.0, 7.0, 7.0, 0.0], (["2", "3"], True)),
        ([1.0] * 5, [2e38, 1e30, 0.0, 1.0, 1e38, 0.0], (["3"], False)),
        ([1.0] * 5, None, ([], True)),
    ],
)
def test_culprits_are_rows_with_such_a_loss_else_with_such_a_gradient_else_a_guess(
    losses, gradients, culprits
):
    assert suspects_of(losses, gradients).culprits() == culprits


def test_the_alarm_of_a_skipped_update_names_rows_and_what_comes_next():
    alarm = told(7, [f"9f0c/{n}" for n in range(10)], True, in_a_row=2, limit=3)
    assert alarm.startswith("update 7: loss or gradient is not finite, so it was skipped")
    assert "9f0c/0, 9f0c/1" in alarm
    assert "9f0c/7 and 2 more" in alarm
    assert "Rows that made it: 9f0c/0" in alarm
    assert alarm.endswith("2 in a row; more than trainer.max_skipped_updates=3 end the run")
    guess = told(7, ["9f0c/0"], False, in_a_row=1, limit=3)
    assert "Rows that made it" not in guess
    assert "fault in the vision tower); the loudest row: 9f0c/0" in guess


def test_what_an_update_keeps_of_its_micro_batches_holds_no_pictures():
    rows = rows_of(2, 3)
    micro_batch = collate(rows, VisionInputs(tiny_adapter(), {}), device=CPU)
    suspects = Suspects()
    suspects.add(micro_batch, torch.ones(5), None)
    assert not any(part is micro_batch for part in suspects._seen[0])


def test_bf16_without_sharding_keeps_float32_masters_through_stage_1():
    bf16 = deepspeed_config(model_config(dtype="bfloat16"), TrainerConfig(zero_stage=0))
    fp32 = deepspeed_config(model_config(), TrainerConfig(zero_stage=0))
    assert bf16["zero_optimization"]["stage"] == 1
    assert fp32["zero_optimization"]["stage"] == 0
    assert fp32["optimizer"]["params"]["torch_adam"]


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_gradients_travel_beside_the_backward_pass_on_gpus_alone(stage):
    trainer = TrainerConfig(zero_stage=stage, offload_optimizer=True)
    for is_gpu in (False, True):
        zero = deepspeed_config(model_config(), trainer, is_gpu=is_gpu)["zero_optimization"]
        assert zero["overlap_comm"] is is_gpu
        assert zero["offload_optimizer"]["pin_memory"] is is_gpu


def test_weights_are_gathered_layer_by_layer():
    assert layer_of("model.visual.blocks.1.attn.qkv.weight") == "model.visual.blocks.1"
    assert layer_of("model.language_model.norm.weight") == "model.language_model"
    assert layer_of("lm_head.weight") == "lm_head.weight"
