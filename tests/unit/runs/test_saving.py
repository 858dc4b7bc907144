"""A run saves on time, keeps its best checkpoint, and outlives a disk that is full for a while."""

import errno
import time

import pytest

from vr1_ray.actors.training.trainer_group import TrainerLostError
from vr1_ray.actors.waiting import ActorError
from vr1_ray.config import CheckpointConfig, RunConfig, TrainerConfig
from vr1_ray.runs.checkpoints import Checkpoints
from vr1_ray.runs.saving import SaveError, Saver

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """What the trainers write to; it can be full, broken or slow."""

    def __init__(self):
        self.error, self.seconds = None, 0.0

    def write(self, folder):
        (folder / "weights").write_text("some")
        time.sleep(self.seconds)
        if self.error:
            raise self.error


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def notes():
    return []


@pytest.fixture
def make(tmp_path, disk, notes):
    """Makes the saver of a run of 9 steps."""

    def make_saver(num_workers=1, **settings):
        config = RunConfig(
            kind="rl",
            name="demo",
            runs_folder=str(tmp_path),
            trainer=TrainerConfig(num_workers=num_workers),
            checkpoint=CheckpointConfig(**settings),
        )
        return Saver(config, total_steps=9, write=disk.write, note=notes.append)

    return make_saver


def steps_of(saver):
    return saver.checkpoints.steps()


def test_checkpoints_are_due_on_schedule_and_at_the_last_step(make):
    saver = make(every_steps=4)
    assert [step for step in range(1, 10) if saver.is_due(step)] == [4, 8, 9]
    assert [step for step in range(1, 10) if make().is_due(step)] == [9]


def test_a_save_is_timed_once(make, disk):
    saver, disk.seconds = make(), 0.05
    assert saver.metrics() == {}
    saver.save(1, {})
    assert 0.05 <= saver.metrics()["time/checkpoint"] < 5
    assert saver.metrics() == {}


def test_a_checkpoint_that_takes_longer_than_the_grace_period_is_told(make, disk, notes):
    make(grace_seconds=60).save(1, {})
    assert notes == []
    disk.seconds = 0.05
    make(grace_seconds=0.01).save(2, {})
    assert "more than checkpoint.grace_seconds 0.01" in notes[0]


@pytest.mark.parametrize("error", [FULL, ActorError("No space left (raised in trainer 0)")])
def test_a_failed_save_is_told_and_the_next_one_succeeds(make, disk, notes, error):
    saver = make()
    saver.save(1, {})
    disk.error = error
    saver.save(2, {})
    assert "checkpoint of step 2 could not be saved" in notes[0]
    assert "No space left" in notes[0]
    assert "that of step 1" in notes[0]
    assert steps_of(saver) == [1]
    disk.error = None
    saver.save(3, {})
    assert steps_of(saver) == [1, 3]


def test_the_last_save_of_a_run_must_succeed(make, disk):
    saver = make()
    saver.save(8, {})
    disk.error = FULL
    with pytest.raises(SaveError, match=r"step 9 could not be saved: .*No space left.*of step 8"):
        saver.save(9, {})


def test_a_rank_that_cannot_write_costs_the_save_and_one_that_dies_is_a_loss(make, disk, notes):
    saver = make(num_workers=2)
    disk.error = ActorError("No space left (raised in trainer 1)")
    saver.save(2, {})
    assert "step 2 could not be saved" in notes[0]
    disk.error = TrainerLostError("trainer 1", "saving the trainer's state", 3, "died")
    with pytest.raises(TrainerLostError, match=r"trainer 1 died, while saving .* in step 3"):
        saver.save(3, {})


def test_a_mistake_of_ours_while_saving_is_not_taken_for_a_full_disk(make, disk):
    disk.error = TypeError("a bug")
    with pytest.raises(TypeError, match="a bug"):
        make().save(2, {})


def test_the_best_checkpoint_outlives_the_last_and_is_named_in_the_result(make, tmp_path):
    saver = make(keep_last=1)
    for step, accuracy in ((1, 0.3), (2, 0.7), (3, 0.7), (4, 0.5)):
        is_best = saver.is_best(step, {"accuracy": accuracy})
        assert is_best == (step in (1, 2))  # of equal ones the earliest
        saver.save(step, {})
    assert steps_of(saver) == [2, 4]
    folder = tmp_path / "demo" / "checkpoints"
    assert saver.result() == {
        "checkpoint": str(folder / "step_000004"),
        "best": {"step": 2, "accuracy": 0.7, "checkpoint": str(folder / "step_000002")},
    }


def test_another_figure_can_tell_the_best_such_as_one_of_a_benchmark(make):
    saver = make(every_steps=1)
    saver.config.eval.best_by = "mathvista/GPS"
    for step, accuracy, figure in ((1, 0.9, 0.2), (2, 0.1, 0.4), (3, 0.8, 0.3)):
        saver.is_best(step, {"accuracy": accuracy, "mathvista/GPS": figure})
        saver.save(step, {})
    assert saver.result()["best"]["step"] == 2
    assert saver.result()["best"]["mathvista/GPS"] == 0.4


def test_without_keep_best_only_the_last_are_kept(make):
    saver = make(keep_last=1, keep_best=False)
    assert not saver.is_best(1, {"accuracy": 0.9})
    saver.save(1, {})
    saver.save(2, {})
    assert steps_of(saver) == [2]
    assert "best" not in saver.result()


def test_a_best_step_that_could_not_be_saved_does_not_replace_the_best(make, disk):
    saver = make(keep_last=1)
    saver.is_best(1, {"accuracy": 0.3})
    saver.save(1, {})
    saver.is_best(2, {"accuracy": 0.9})
    disk.error = FULL
    saver.save(2, {})
    disk.error = None
    saver.save(3, {})
    assert steps_of(saver) == [1, 3]
    assert saver.result()["best"]["step"] == 1


def test_a_step_evaluated_after_its_checkpoint_can_become_the_best(make):
    saver = make(keep_last=1)
    saver.is_best(1, {"accuracy": 0.3})
    saver.save(1, {})
    saver.save(9, {})
    assert saver.is_best(9, {"accuracy": 0.4})
    assert steps_of(saver) == [9]
    assert saver.result()["best"]["step"] == 9


def test_a_resumed_run_knows_the_best_and_tells_what_was_skipped(make, tmp_path, notes):
    before = make(keep_last=2)
    before.is_best(2, {"accuracy": 0.7})
    for step in (2, 3, 4, 5):
        before.save(step, {"sampler": step})
    (before.checkpoints.path(5) / "weights").unlink()
    found = Checkpoints(tmp_path / "demo").latest()
    saver = make(keep_last=1)
    saver.restore(found)
    assert "step_000005 is torn and was skipped: weights is missing" in notes[0]
    assert notes[1] == f"going on from {saver.checkpoints.path(4)}"
    assert not saver.is_best(6, {"accuracy": 0.6})
    saver.save(6, {})
    assert steps_of(saver) == [2, 6]


def test_a_best_checkpoint_that_was_lost_is_told_and_forgotten(make, tmp_path, notes):
    before = make()
    before.is_best(2, {"accuracy": 0.7})
    before.save(2, {})
    before.save(3, {})
    (before.checkpoints.path(2) / "weights").write_text("SOME")
    saver = make()
    saver.restore(Checkpoints(tmp_path / "demo").latest())
    assert "best checkpoint, of step 2, is lost: weights has changed" in notes[1]
    assert saver.is_best(4, {"accuracy": 0.1})
