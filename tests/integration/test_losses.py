"""One update of the real trainer, its loss worked out by hand for each way of averaging, with and without entropy bonus."""

import pytest

from tests.processes import in_processes
from tests.unit.training.sample_rows import model_config, trainer_config
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.types import TrainRow

ROWS = [  # on policy the loss of a token is minus its advantage: 4 tokens of -1, 8 tokens of +1
    TrainRow(
        row_id=str(length),
        prompt_ids=(5, 6, 7),
        response_ids=tuple(range(20, 20 + length)),
        image_hashes=(),
        advantage=advantage,
        rollout_logprobs=(-6.0,) * length,
    )
    for length, advantage in ((4, 1.0), (8, -1.0))
]


AGGREGATIONS = {
    ("token_mean", 0): (8 - 4) / 12,
    ("sequence_mean", 0): (1 - 1) / 2,
    ("constant_length", 16): (8 - 4) / 16 / 2,
}


def metrics_of(**settings) -> dict[str, float]:
    trainer = PolicyTrainer(
        model=model_config(),
        trainer=trainer_config(),
        algorithm=make_algorithm(AlgorithmConfig(kl_coef=0.0, **settings)),
        seed=0,
        total_updates=1,
        rank=0,
        world_size=1,
    )
    return trainer.train_step([ROWS], {})


def update_each(rank, world_size, folder):
    found = {
        (name, length): metrics_of(loss_aggregation=name, loss_length=length)
        for name, length in AGGREGATIONS
    }
    return found | {"plain": metrics_of(), "bonus": metrics_of(entropy_coef=0.01)}


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    return in_processes(update_each, 1, tmp_path_factory.mktemp("losses"))[0]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_loss_is_averaged_as_the_config_says(aggregation, updated):
    found = updated[aggregation]
    assert found["loss"] == pytest.approx(AGGREGATIONS[aggregation], abs=1e-6)
    assert found["logprob_diff/mean"] <= found["logprob_diff/p99"] <= found["logprob_diff/max"]


def test_the_entropy_bonus_lowers_the_loss_by_its_weight_and_moves_the_gradient(updated):
    plain, bonus = updated["plain"], updated["bonus"]
    assert bonus["entropy"] == pytest.approx(plain["entropy"])
    assert plain["loss"] - bonus["loss"] == pytest.approx(0.01 * plain["entropy"], rel=1e-4)
    assert bonus["grad_norm"] != pytest.approx(plain["grad_norm"], rel=1e-4)
