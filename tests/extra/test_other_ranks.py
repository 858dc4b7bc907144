"""A trainer state written by two ranks is loaded by one, and the other way round, under every ZeRO stage.

Weights and optimizer state are the same; sums over another number of ranks are taken in another order, so the
next update agrees to a rounding and not to the bit.
"""

from pathlib import Path

import pytest
import torch

from tests.integration.test_trainer_ranks import STAGES, rows_of_rank, start_trainer, weights_of
from tests.processes import in_processes
from tests.unit.training.sample_rows import sample_rows
from vr1_ray.config import OptimizerConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def trainer_of(rank, world_size, stage):
    return start_trainer(rank, world_size, zero_stage=stage, optimizer=OptimizerConfig(lr=1e-3))


def save(rank, world_size, folder):
    """Two updates, a checkpoint, one more update: the weights before it and after it."""
    found = {}
    for stage in STAGES:
        trainer = trainer_of(rank, world_size, stage)
        rows, images = sample_rows(trainer.adapter)
        own = rows_of_rank(rows, rank, world_size)
        for _ in range(2):
            trainer.train_step([own], images)
        trainer.save_checkpoint(Path(folder) / f"by_{world_size}" / f"stage_{stage}")
        before = weights_of(trainer)
        trainer.train_step([own], images)
        found[stage] = before, weights_of(trainer)
    return found


def load(rank, world_size, folder):
    """What another number of ranks saved, and one more update."""
    found = {}
    for stage in STAGES:
        trainer = trainer_of(rank, world_size, stage)
        state = Path(folder) / f"by_{3 - world_size}" / f"stage_{stage}"
        rows, images = sample_rows(trainer.adapter)
        trainer.load_checkpoint(state)
        before = weights_of(trainer)
        trainer.train_step([rows_of_rank(rows, rank, world_size)], images)
        found[stage] = before, weights_of(trainer), trainer.num_updates
        trainer.save_checkpoint(Path(folder) / f"again_{world_size}" / f"stage_{stage}")
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """(ranks that saved, what they had, what the other number of ranks found)."""
    folder = tmp_path_factory.mktemp("ranks")
    saved = {ranks: in_processes(save, ranks, folder)[0] for ranks in (1, 2)}
    loaded = {ranks: in_processes(load, 3 - ranks, folder)[0] for ranks in (1, 2)}
    return saved, loaded


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_the_other_number_of_ranks_goes_on_with_the_same_weights_and_optimizer(ranks, stage, found):
    saved, loaded = found[0][ranks][stage], found[1][ranks][stage]
    assert loaded[2] == 3
    for name, weight in saved[0].items():
        assert torch.equal(loaded[0][name], weight), f"loading changed {name}"
    largest = max((saved[1][name] - saved[0][name]).abs().max() for name in saved[0])
    worst = max((loaded[1][name] - saved[1][name]).abs().max() for name in saved[0])
    assert largest > 1e-4
    # Adam's step divides by the root of a second moment: where that is tiny, a rounding is not.
    assert worst < 0.05 * largest
