"""Losses of the trainer: bounded, counted, and left to the resumed run when a SIGTERM has come."""

import pytest

from vr1_ray.actors.training.trainer_group import TrainerLostError
from vr1_ray.runs.recovery import Recovery, TooManyRestartsError
from vr1_ray.runs.stopping import Stopped, StopSignal


class Trainee:
    """Steps to do up to 10, a checkpoint every 4, and a list of (step, method) at which the trainer is lost."""

    def __init__(self, *losses):
        self.losses, self.done, self.step = list(losses), [], 0

    def lose(self, step, method):
        if self.losses and self.losses[0] == (step, method):
            self.losses.pop(0)
            raise TrainerLostError("trainer 1", method, step, "died")

    def train(self):
        while self.step < 10:
            self.lose(self.step + 1, "training")
            self.step += 1
            self.done.append(self.step)
        return "done"

    def go_back(self):
        self.lose(self.step, "starting")
        done, self.step = self.step, self.step - self.step % 4
        return done, self.step


@pytest.fixture
def notes():
    return []


@pytest.fixture
def make(notes):
    def make_recovery(trainee, max_restarts=2, stop=None):
        return Recovery(
            max_restarts=max_restarts,
            go_back=trainee.go_back,
            note=notes.append,
            stop=stop or StopSignal(),
        )

    return make_recovery


def test_lost_steps_are_redone_from_the_checkpoint_and_counted(make, notes):
    trainee = Trainee((3, "training"), (7, "training"))
    recovery = make(trainee)
    assert recovery.until_done(trainee.train) == "done"
    assert trainee.done == [1, 2, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10]
    assert recovery.result() == {"trainer_restarts": 2, "steps_redone": 4}
    assert "LOST: trainer 1 died, while training in step 3" in notes[0]
    assert "after step 0; 2 whole steps are redone" in notes[1]
    assert "after step 4; 2 whole steps are redone" in notes[3]


def test_a_loss_while_it_is_being_restarted_counts_too(make):
    trainee = Trainee((7, "training"), (6, "starting"))
    recovery = make(trainee)
    recovery.until_done(trainee.train)
    assert trainee.done == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10]
    assert recovery.num_restarts == 2


def test_the_number_of_restarts_is_bounded_over_all_work(make):
    trainee = Trainee((3, "training"), (5, "training"))
    with pytest.raises(
        TooManyRestartsError, match=r"in step 5; .* 1 times, and trainer.max_restarts is 1"
    ):
        make(trainee, max_restarts=1).until_done(trainee.train)
    with pytest.raises(TooManyRestartsError, match=r"trainer.max_restarts is 0"):
        make(Trainee(), max_restarts=0).until_done(Trainee((1, "training")).train)


def test_after_a_sigterm_nothing_is_restarted(make):
    stop = StopSignal()
    stop.is_requested = True
    trainee = Trainee((3, "training"))
    with pytest.raises(Stopped):
        make(trainee, stop=stop).until_done(trainee.train)
    assert trainee.done == [1, 2]


def test_another_error_is_no_loss(make):
    def fail():
        raise FloatingPointError("loss is nan")

    with pytest.raises(FloatingPointError):
        make(Trainee()).until_done(fail)
