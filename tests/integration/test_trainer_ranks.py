"""Real DeepSpeed over gloo, one rank and two: the same loss, gradient and weights, and exact resumes.

Each fixture starts fresh processes that go through all ZeRO stages, so that imports are paid for once.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.processes import in_processes
from tests.unit.training.sample_rows import model_config, sample_rows, trainer_config
from vr1_ray.algorithms import TokenBatch, make_algorithm
from vr1_ray.config import AlgorithmConfig, OptimizerConfig
from vr1_ray.models import load_adapter
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.policy_model import PolicyModel
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.training.reference import ReferencePolicy
from vr1_ray.training.scoring import MicroBatches

STAGES = (0, 1, 2, 3)
BUDGETS = (256, 8192)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start_trainer(rank, world_size, *, model=None, algorithm=None, **settings) -> PolicyTrainer:
    return PolicyTrainer(
        model=model or model_config(),
        trainer=trainer_config(**settings),
        algorithm=make_algorithm(algorithm or AlgorithmConfig()),
        seed=0,
        total_updates=10,
        rank=rank,
        world_size=world_size,
        deterministic=True,
    )


def rows_of_rank(rows, rank, world_size):
    """Two ranks: one has all the images and most rows, the other has text only."""
    if world_size == 1:
        return rows
    return rows[:7] if rank == 0 else rows[7:]


def weights_of(trainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in trainer.named_weights()}


def update(trainer, mini_batches, images) -> dict[str, float]:
    """The metrics of a step, without the tokens that ranks ran over: these depend on how rows are cut."""
    metrics = trainer.train_step(mini_batches, images)
    packed, lockstep = metrics.pop("tokens/packed"), metrics.pop("tokens/lockstep")
    assert 0 < packed <= lockstep
    return metrics


def run_updates(rank, world_size, folder):
    """One update by every stage and budget; variants of the loss; the policy saved under ZeRO-3."""
    found = {}
    adam = OptimizerConfig(lr=1e-3)
    for stage in STAGES:
        for budget in BUDGETS:
            trainer = start_trainer(
                rank, world_size, zero_stage=stage, max_tokens_per_micro_batch=budget
            )
            rows, images = sample_rows(trainer.adapter)
            own = rows_of_rank(rows, rank, world_size)
            found[stage, budget] = update(trainer, [own], images), weights_of(trainer)
    trainer = start_trainer(
        rank,
        world_size,
        zero_stage=2,
        algorithm=AlgorithmConfig(loss_aggregation="sequence_mean"),
        max_tokens_per_micro_batch=256,
    )
    found["sequence_mean"] = update(trainer, [own], images), weights_of(trainer)
    trainer = start_trainer(rank, world_size, zero_stage=3, optimizer=adam)
    odd = [row for row in own if not row.row_id.endswith("1")]
    even = [row for row in own if row.row_id.endswith("1")]
    before = [trainer.compute_logprobs(rows, images) for rows in (odd, even)]
    pi_old = record_pi_old(trainer.algorithm)
    found["mini_batches"] = update(trainer, [odd, even], images), weights_of(trainer)
    found["pi_old"] = [flat(values) for values in before], [values.tolist() for values in pi_old]
    found["logprobs"] = trainer.compute_logprobs(own, images)
    trainer.save_policy(Path(folder) / f"policy_{world_size}")
    frozen = model_config(freeze_vision_tower=True, freeze_projector=True)
    trainer = start_trainer(
        rank, world_size, zero_stage=3, model=frozen, gradient_checkpointing=True
    )
    found["frozen"] = update(trainer, [own], images), weights_of(trainer)
    before = weights_of(trainer)
    broken = [replace(row, row_id="broken", advantage=float("nan")) for row in own[1:2]]
    bad = [own[0], *broken, *own[2:]] if rank == 0 else own
    found["skipped"] = [trainer.train_step([bad], images) for _ in range(3)]
    found["alarms"] = trainer.take_alarms()
    with pytest.raises(FloatingPointError) as caught:
        trainer.train_step([bad], images)
    found["error"] = str(caught.value)
    found["skipped_weights"] = before, weights_of(trainer)
    return found


def record_pi_old(algorithm) -> list[torch.Tensor]:
    """What each micro-batch's loss takes for pi_old, as training goes on."""
    seen, loss = [], algorithm.loss
    algorithm.loss = lambda tokens: (seen.append(tokens.old_logprobs_N), loss(tokens))[1]
    return seen


def flat(rows) -> list[float]:
    return [value for row in rows for value in row]


def run_and_save(rank, world_size, folder):
    """Three steps straight through, and two, a checkpoint, and one more."""
    found = {}
    for stage in STAGES:
        for is_saving in (False, True):
            trainer = start_trainer(
                rank, world_size, zero_stage=stage, optimizer=OptimizerConfig(lr=1e-3)
            )
            rows, images = sample_rows(trainer.adapter)
            for step in range(3):
                if is_saving and step == 2:
                    trainer.save_checkpoint(Path(folder) / f"stage_{stage}")
                trainer.train_step([rows_of_rank(rows, rank, world_size)], images)
            found[stage, is_saving] = weights_of(trainer)
    return found


def load_and_run(rank, world_size, folder):
    """The third step, in a new process, from the checkpoint."""
    found = {}
    for stage in STAGES:
        trainer = start_trainer(
            rank, world_size, zero_stage=stage, optimizer=OptimizerConfig(lr=1e-3)
        )
        rows, images = sample_rows(trainer.adapter)
        trainer.load_checkpoint(Path(folder) / f"stage_{stage}")
        trainer.train_step([rows_of_rank(rows, rank, world_size)], images)
        found[stage] = weights_of(trainer), trainer.num_updates
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def alone(folder):
    return in_processes(run_updates, 1, folder)[0]


@pytest.fixture(scope="module")
def together(folder):
    return in_processes(run_updates, 2, folder)


@pytest.fixture(scope="module")
def resumed(folder):
    return in_processes(run_and_save, 2, folder)[0], in_processes(load_and_run, 2, folder)[0]


@pytest.fixture(scope="module")
def initial():
    policy = PolicyModel(load_adapter(model_config()), model_config(), chunk_tokens=1024)
    return {name: weight.detach() for name, weight in policy.model.named_parameters()}


def assert_same_update(found, expected, initial, tolerance=1e-5):
    """Changes of all weights agree, relative to the largest change of all.

    One rounding of a weight is not counted: vr1-tiny has weights up to 2, and 2^-23 of these is 4e-6 of a change.
    """
    assert found.keys() == expected.keys() == initial.keys()
    largest = max((expected[name] - initial[name]).abs().max() for name in initial)
    rounding = torch.finfo(torch.float32).eps
    worst = max(
        ((found[name] - expected[name]).abs() - rounding * expected[name].abs()).max()
        for name in initial
    )
    assert largest > 1e-3
    assert worst / largest < tolerance, f"{worst / largest:.1e}"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("budget", BUDGETS)
def test_one_update_is_the_same_on_one_rank_and_two(stage, budget, alone, together, initial):
    expected_metrics, expected = alone[0, 8192]
    for found_metrics, found in (alone[stage, budget], together[0][stage, budget]):
        assert_same_update(found, expected, initial)
        assert found_metrics == pytest.approx(expected_metrics, rel=1e-4, abs=1e-6)
    assert together[1][stage, budget][0] == together[0][stage, budget][0]


@pytest.mark.parametrize("variant", ["sequence_mean", "frozen"])
def test_variants_agree_over_ranks(variant, alone, together, initial):
    assert_same_update(together[0][variant][1], alone[variant][1], initial)
    assert together[0][variant][0] == pytest.approx(alone[variant][0], rel=1e-4, abs=1e-6)


def test_the_gradient_is_that_of_the_plain_sum_without_deepspeed(alone, initial):
    """One row at a time, one backward over all: the mean over all tokens of the mini-batch."""
    reference = ReferencePolicy(model=model_config(), trainer=trainer_config())
    rows, images = sample_rows(reference.adapter)
    policy = reference.policy.requires_grad_(True)
    algorithm = make_algorithm(AlgorithmConfig())
    total = sum(len(row.response_ids) for row in rows)
    for row in rows:
        _, batch = MicroBatches(
            [row],
            VisionInputs(reference.adapter, images),
            reference.adapter,
            max_tokens=1,
            device=reference.device,
        ).make(0)
        logprobs, entropy = policy(batch)
        tokens = TokenBatch(
            logprobs_N=logprobs,
            old_logprobs_N=logprobs.detach(),
            ref_logprobs_N=torch.tensor(row.ref_logprobs),
            advantages_N=torch.full_like(logprobs, row.advantage),
            entropy_N=entropy,
            row_index_N=batch.row_index_N,
        )
        (algorithm.loss(tokens)[0].sum() / total).backward()
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    metrics, weights = alone[0, 8192]
    assert metrics["grad_norm"] == pytest.approx(float(norm), rel=1e-5)
    expected = {
        name: initial[name] - weight.grad / (weight.grad.abs() + 1.0)
        for name, weight in policy.model.named_parameters()
    }
    assert_same_update(weights, expected, initial, tolerance=3e-6)


def test_frozen_vision_stays_and_the_rest_moves(together, initial):
    weights = together[0]["frozen"][1]
    moved = {name for name in initial if not torch.equal(weights[name], initial[name])}
    assert not any(name.startswith("model.visual.") for name in moved)
    assert "lm_head.weight" in moved


def test_several_mini_batches_clip_against_the_policy_before_the_step(alone, together):
    for found in (alone, together[0]):
        metrics = found["mini_batches"][0]
        assert metrics["ratio"] != pytest.approx(1.0, abs=1e-4)
        assert metrics["logprob_diff/max"] > 0
    assert alone["mini_batches"][0] == pytest.approx(together[0]["mini_batches"][0], rel=1e-2)


def test_only_rank_0_hands_out_weights(together):
    assert together[0][3, 256][1]
    assert not together[1][3, 256][1]


def test_the_saved_policy_scores_as_the_trained_one(folder, together):
    saved = folder / "policy_2"
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "chat_template.jinja",
    } <= {file.name for file in saved.iterdir()}
    reference = ReferencePolicy(
        model=replace(model_config(), path=str(saved)), trainer=trainer_config()
    )
    rows, images = sample_rows(reference.adapter)
    found = reference.compute_logprobs(rows[:7], images)
    for one, other in zip(found, together[0]["logprobs"], strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_pi_old_of_the_first_mini_batch_is_bit_for_bit_what_a_pass_of_its_own_would_give(alone):
    computed, taken = alone["pi_old"]
    assert len(taken) == 2  # one micro-batch each
    # Micro-batches order rows by length; the values are the same.
    assert sorted(taken[0]) == sorted(computed[0])
    assert sorted(taken[1]) == sorted(computed[1])  # before the first update, not after it


def test_a_broken_row_skips_the_update_on_all_ranks_and_is_named_by_all(alone, together):
    for found in (alone, *together):
        assert [metrics["updates/skipped"] for metrics in found["skipped"]] == [1, 1, 1]
        assert all(math.isnan(metrics["loss"]) for metrics in found["skipped"])
        assert all(metrics["logprob_diff/mean"] > 0 for metrics in found["skipped"])
        assert [alarm.split(":")[0] for alarm in found["alarms"]] == [
            "update 2",
            "update 3",
            "update 4",
        ]
        assert all("Rows that made it: broken. " in alarm for alarm in found["alarms"])
        before, after = found["skipped_weights"]
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_more_skipped_updates_in_a_row_than_allowed_end_the_run_on_all_ranks(alone, together):
    for found in (alone, *together):
        assert "broken" in found["error"]
        assert "4 in a row; more than trainer.max_skipped_updates=3" in found["error"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_ends_with_the_same_bits(stage, resumed):
    through, loaded = resumed
    weights, num_updates = loaded[stage]
    assert num_updates == 3
    for name, weight in through[stage, False].items():
        assert torch.equal(through[stage, True][name], weight), f"saving changed {name}"
        assert torch.equal(weights[name], weight), f"resuming changed {name}"
