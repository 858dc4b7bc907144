"""Losses and gradients are TRL's, version 1.16.0, on fixed numbers; `record_trl.py` says how these were made."""

import json
from pathlib import Path

import pytest
import torch

from tests.unit.algorithms import record_trl as trl
from tests.unit.training.sample_rows import tiny_adapter
from vr1_ray.algorithms import TokenBatch, make_algorithm
from vr1_ray.config import AlgorithmConfig
from vr1_ray.training.batch import VisionInputs, collate
from vr1_ray.training.mini_batch import token_weights, totals_over_ranks
from vr1_ray.types import TrainRow

RECORDED = json.loads((Path(__file__).parent / "trl_1_16_0.json").read_text())
CPU = torch.device("cpu")

SETTINGS = {  # what TRL's settings of the same case are here
    "grpo": {"kl_coef": 0.1, "loss_aggregation": "sequence_mean"},
    "dapo": {"name": "dapo", "clip_high": 0.28},
    "dr_grpo": {"name": "dr_grpo", "loss_aggregation": "constant_length", "loss_length": 8},
    "gspo": {"name": "gspo", "clip_high": 0.25, "loss_aggregation": "sequence_mean"},
    "cispo": {"name": "cispo", "clip_low": 1.0, "clip_high": 0.4},  # TRL's bound is 1 + clip_high
    "sapo": {"name": "sapo", "loss_aggregation": "sequence_mean"},
    "dual_clip": {"dual_clip": 3.0},
    "entropy_bonus": {"entropy_coef": 0.1},
    "importance_of_tokens": {"importance_cap": 1.3},
    "importance_of_responses": {
        "name": "sapo",
        "kl_coef": 0.1,
        "loss_aggregation": "sequence_mean",
        "importance_cap": 1.3,
        "importance_level": "sequence",
    },
}


def loss_and_gradient(**settings):
    """The loss as the trainer averages it, in two micro-batches, and its gradient in each log-probability."""
    algorithm = make_algorithm(AlgorithmConfig(**({"kl_coef": 0.0} | settings)))
    rows = [
        TrainRow(row_id=str(n), prompt_ids=(9,), response_ids=(9,) * n, image_hashes=())
        for n in trl.LENGTHS
    ]
    [totals] = totals_over_ranks([rows], [2], CPU)
    losses, gradients, start = [], [], 0
    for own, advantages in ((rows[:2], trl.ADVANTAGES[:2]), (rows[2:], trl.ADVANTAGES[2:])):
        batch = collate(own, VisionInputs(tiny_adapter(), {}), device=CPU)
        end = start + len(batch.row_index_N)

        def tensor(values, part=slice(start, end)):
            return torch.tensor(values[part], dtype=torch.float64)

        tokens = TokenBatch(
            logprobs_N=tensor(trl.LOGPROBS).requires_grad_(),
            old_logprobs_N=tensor(trl.OLD_LOGPROBS),
            ref_logprobs_N=tensor(trl.REF_LOGPROBS) if algorithm.needs_reference else None,
            advantages_N=torch.tensor(advantages, dtype=torch.float64)[batch.row_index_N],
            entropy_N=torch.full((end - start,), trl.ENTROPY, dtype=torch.float64),
            row_index_N=batch.row_index_N,
            rollout_logprobs_N=tensor(trl.ROLLOUT_LOGPROBS),
        )
        loss_N, _ = algorithm.loss(tokens)
        loss = (loss_N * token_weights(batch, totals, algorithm)).sum()
        loss.backward()
        losses.append(loss.item())
        gradients += tokens.logprobs_N.grad.tolist()
        start = end
    return sum(losses), gradients


@pytest.mark.parametrize("case", sorted(RECORDED))
def test_loss_and_gradient_are_those_of_trl(case):
    loss, gradient = loss_and_gradient(**SETTINGS[case])
    assert loss == pytest.approx(RECORDED[case]["loss"], abs=1e-7)
    assert gradient == pytest.approx(RECORDED[case]["gradient"], abs=1e-7)


def test_no_two_of_the_recorded_cases_are_the_same():
    assert len({json.dumps(found) for found in RECORDED.values()}) == len(RECORDED) == 10
