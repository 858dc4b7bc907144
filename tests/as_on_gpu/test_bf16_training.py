"""bfloat16 through trainer and reference at every ZeRO stage, one rank and two: what the whole model gives.

vLLM has no bfloat16 on many CPUs; torch and DeepSpeed have. float32 goes along where DeepSpeed takes other paths.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.integration.test_trainer_ranks import in_processes, rows_of_rank, start_trainer
from tests.unit.training.sample_rows import model_config, sample_rows, trainer_config
from vr1_ray.algorithms import TokenBatch, make_algorithm
from vr1_ray.config import AlgorithmConfig
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.reference import ReferencePolicy
from vr1_ray.training.scoring import MicroBatches

CASES = [("bfloat16", 0), ("bfloat16", 1), ("bfloat16", 2), ("bfloat16", 3)]
CASES += [("float32", 0), ("float32", 2)]
SHARDED = [(dtype, stage) for dtype, stage in CASES if stage == 3]
BUDGET = 512  # several micro-batches a rank
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def rows_to_score(adapter):
    """The sample rows, and one of 2,000 tokens: what positions are wrong by grows with the distance."""
    rows, images = sample_rows(adapter)
    long = rows[1]
    ids = (long.response_ids * 200)[:2000]
    zeros = (0.0,) * len(ids)
    long = replace(
        long, row_id="long", response_ids=ids, rollout_logprobs=zeros, ref_logprobs=zeros
    )
    return [long, *rows], images


def masters(trainer):
    """The float32 weights behind the policy, on every rank."""
    from deepspeed.utils import safe_get_full_fp32_param

    weights = trainer.engine.module.model.named_parameters()
    if not trainer.engine.zero_optimization():
        return {name: weight.detach().clone() for name, weight in weights}
    return {name: safe_get_full_fp32_param(weight).clone() for name, weight in weights}


def start(rank, world_size, dtype, stage):
    return start_trainer(
        rank,
        world_size,
        model=model_config(dtype=dtype),
        zero_stage=stage,
        max_tokens_per_micro_batch=BUDGET,
    )


def learn(rank, world_size, folder):
    """Scores; three updates straight through; the same with a broken row and a checkpoint in between."""
    found = {}
    for dtype, stage in CASES:
        trainer = start(rank, world_size, dtype, stage)
        rows, images = rows_to_score(trainer.adapter)
        scored = rows_of_rank(rows, rank, world_size)
        own = rows_of_rank(rows[1:], rank, world_size)
        logprobs = trainer.compute_logprobs(scored, images)
        through, metrics = [masters(trainer)], []
        for _ in range(3):
            metrics.append(trainer.train_step([own], images))
            through.append(masters(trainer))

        trainer = start(rank, world_size, dtype, stage)
        first = trainer.train_step([own], images)
        bad = [replace(own[0], row_id="huge", advantage=1e38), *own[1:]] if rank == 0 else own
        metrics.append(trainer.train_step([bad], images))
        alarms = trainer.take_alarms()
        second = trainer.train_step([own], images)
        checkpoint = Path(folder) / f"{dtype}_{stage}_{world_size}"
        trainer.save_checkpoint(checkpoint)
        skipping = masters(trainer)

        trainer = start(rank, world_size, dtype, stage)
        trainer.load_checkpoint(checkpoint)
        trainer.train_step([own], images)
        found[dtype, stage] = {
            "logprobs": logprobs,
            "through": through,
            "metrics": metrics,
            "metrics_around": [first, second],
            "alarms": alarms,
            "skipping": skipping,
            "resumed": masters(trainer),
        }
    bf16 = model_config(dtype="bfloat16")
    sharded = ReferencePolicy(
        model=bf16,
        trainer=trainer_config(max_tokens_per_micro_batch=BUDGET),
        deterministic=True,
        is_sharded=True,
    )
    found["sharded reference"] = sharded.compute_logprobs(scored, images)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By number of ranks, what each rank found."""
    folder = tmp_path_factory.mktemp("bf16")
    return {ranks: in_processes(learn, ranks, folder) for ranks in (1, 2)}


@pytest.fixture(scope="module")
def whole():
    """By dtype, the policy that no DeepSpeed has touched."""
    settings = trainer_config(max_tokens_per_micro_batch=BUDGET)
    return {
        dtype: ReferencePolicy(
            model=model_config(dtype=dtype), trainer=settings, deterministic=True
        )
        for dtype in ("bfloat16", "float32")
    }


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("dtype", "stage"), CASES)
def test_log_probabilities_are_those_of_the_whole_policy_bit_for_bit(
    dtype, stage, ranks, found, whole
):
    rows, images = rows_to_score(whole[dtype].adapter)
    for rank, one in enumerate(found[ranks]):
        own = rows_of_rank(rows, rank, ranks)
        assert one[dtype, stage]["logprobs"] == whole[dtype].compute_logprobs(own, images)


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_sharded_reference_scores_as_the_whole_one_bit_for_bit(ranks, found, whole):
    rows, images = rows_to_score(whole["bfloat16"].adapter)
    for rank, one in enumerate(found[ranks]):
        own = rows_of_rank(rows, rank, ranks)
        assert one["sharded reference"] == whole["bfloat16"].compute_logprobs(own, images)


@pytest.fixture(scope="module")
def plain(whole):
    """By dtype, the weights after one update and two by torch alone: float32 sums, masters and AdamW."""
    return {dtype: _plain_updates(reference, dtype) for dtype, reference in whole.items()}


def _plain_updates(reference, dtype):
    fresh = ReferencePolicy(
        model=model_config(dtype=dtype),
        trainer=trainer_config(max_tokens_per_micro_batch=BUDGET),
        deterministic=True,
    )
    policy, algorithm = fresh.policy.requires_grad_(True), make_algorithm(AlgorithmConfig())
    rows, images = sample_rows(fresh.adapter)
    total = sum(len(row.response_ids) for row in rows)
    weights = dict(policy.model.named_parameters())
    own = {name: torch.nn.Parameter(weight.detach().float()) for name, weight in weights.items()}
    adam = torch.optim.AdamW(own.values(), lr=1.0, eps=1.0, betas=(0.9, 0.999), weight_decay=0.0)
    seen = []
    for _ in range(2):
        batches = MicroBatches(
            rows,
            VisionInputs(fresh.adapter, images),
            fresh.adapter,
            max_tokens=BUDGET,
            device=fresh.device,
        )
        for place in range(len(batches)):
            _, batch = batches.make(place)
            logprobs_N, entropy_N = policy(batch)
            tokens = TokenBatch(
                logprobs_N=logprobs_N,
                old_logprobs_N=logprobs_N.detach(),
                ref_logprobs_N=batch.per_token(lambda row: row.ref_logprobs),
                advantages_N=batch.per_row(lambda row: row.advantage)[batch.row_index_N],
                entropy_N=entropy_N,
                row_index_N=batch.row_index_N,
            )
            (algorithm.loss(tokens)[0].sum() / total).backward()
            for name, weight in weights.items():
                gradient = weight.grad.float()
                own[name].grad = gradient if place == 0 else own[name].grad + gradient
                weight.grad = None
        torch.nn.utils.clip_grad_norm_(own.values(), 1.0)
        adam.step()
        adam.zero_grad()
        seen.append({name: weight.detach().clone() for name, weight in own.items()})
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(own[name])
    return seen


# Of the largest change of any weight. float32: sums in another order. bfloat16: each gradient of a micro-batch is
# rounded to 2^-9 of itself at most, and is another one where sums of ranks and of micro-batches are rounded otherwise.
LIMITS = {"float32": 2e-5, "bfloat16": 2e-2}


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("dtype", "stage"), CASES)
def test_two_updates_are_those_of_the_whole_policy(dtype, stage, ranks, found, plain):
    start, *after = found[ranks][0][dtype, stage]["through"]
    for wanted, seen in zip(plain[dtype], after, strict=False):
        largest = max((wanted[name] - start[name]).abs().max() for name in start)
        worst = max((wanted[name] - seen[name]).abs().max() for name in start)
        assert largest > 1e-3
        assert worst / largest < LIMITS[dtype], f"{worst / largest:.1e}"


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("dtype", "stage"), CASES)
def test_a_skipped_update_leaves_no_trace_and_a_resumed_run_the_same_bits(
    dtype, stage, ranks, found
):
    for one in found[ranks]:
        case = one[dtype, stage]
        *_, second, third = case["through"]
        for name in third:
            assert torch.equal(case["skipping"][name], second[name]), f"{name}: skipping"
            assert torch.equal(case["resumed"][name], third[name]), f"{name}: resuming"
        assert case["metrics_around"] == case["metrics"][:2]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("dtype", "stage"), CASES)
def test_a_gradient_too_large_for_its_type_skips_the_update_and_names_its_row(
    dtype, stage, ranks, found
):
    for one in found[ranks]:
        metrics = one[dtype, stage]["metrics"][-1]
        assert metrics["updates/skipped"] == 1
        assert math.isnan(metrics["grad_norm"])
        [alarm] = one[dtype, stage]["alarms"]
        assert "Rows that made it: huge. 1 in a row" in alarm
