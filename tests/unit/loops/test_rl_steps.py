"""What happens between two RL steps: evaluation, saving, stopping. The fleet is not started."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import (
    CheckpointConfig,
    CurriculumConfig,
    EvalConfig,
    ModelConfig,
    RunConfig,
    StageConfig,
    TrackingConfig,
)
from vr1_ray.loops.eval_loop import evaluation_path
from vr1_ray.loops.rl_loop import RlRun
from vr1_ray.loops.stopping import Stopped, StopSignal
from vr1_ray.types import Prompt, Stage

STAGE = Stage(number=1, max_response_tokens=8, group_size=2, steps=9)


class RunWithoutFleet(RlRun):
    """Writes a small file in place of the policy, and is told its accuracies."""

    accuracies: dict[str, float]
    evaluated: list[str]
    curriculum = SimpleNamespace(state={})

    def write(self, folder):
        (folder / "weights").write_text("some")

    def evaluate(self, label):
        self.evaluated.append(label)
        metrics = {"accuracy": self.accuracies[label]}
        path = evaluation_path(self.config.folder, label)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"metrics": metrics}))
        return metrics


class RunStoppedWhileEvaluating(RunWithoutFleet):
    """A SIGTERM comes in the middle of its evaluation."""

    def evaluate(self, label):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)


@pytest.fixture
def stop():
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.listen()
    yield stop
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def make(tmp_path, stop):
    """Makes a run of nine steps that evaluates every third and saves every fourth."""

    def make_run(kind=RunWithoutFleet, **accuracies):
        config = RunConfig(
            kind="rl",
            name="demo",
            runs_folder=str(tmp_path),
            model=ModelConfig(path="m"),
            curriculum=CurriculumConfig(
                stages=[StageConfig(max_response_tokens=8, group_size=2, steps=9)]
            ),
            eval=EvalConfig(every_steps=3),
            checkpoint=CheckpointConfig(every_steps=4, keep_last=9),
            tracking=TrackingConfig(console=False),
        )
        prompts = [Prompt(prompt_id="a", question="How many?", answer="3")]
        run = kind(config, Fleet(config), prompts, prompts, resumed=None, stop=stop)
        run.accuracies, run.evaluated = accuracies, []
        return run

    return make_run


def test_a_step_is_saved_when_it_is_due_the_last_or_the_best_so_far(make):
    run = make(step_000003=0.5, step_000006=0.4)
    for step in range(1, 10):
        run.after_step(step, STAGE)
    assert run.evaluated == ["step_000003", "step_000006"]  # the last one's is `eval.at_end`'s
    assert run.saver.checkpoints.steps() == [3, 4, 8, 9]


def test_a_stop_saves_the_step_just_done_and_leaves_its_evaluation_to_the_resumed_run(make, stop):
    run = make(step_000003=0.5)
    stop.is_requested = True
    with pytest.raises(Stopped):
        run.after_step(3, STAGE)
    assert run.evaluated == []
    assert run.saver.checkpoints.steps() == [3]

    stop.is_requested = False
    resumed = make(step_000003=0.5)
    found = resumed.saver.checkpoints.latest()
    resumed.saver.restore(found)
    resumed.catch_up(found.step)
    assert resumed.evaluated == ["step_000003"]
    assert resumed.saver.result()["best"]["step"] == 3


def test_an_evaluation_that_was_made_is_not_made_again_by_a_resumed_run(make):
    run = make(step_000003=0.5)
    run.after_step(3, STAGE)
    resumed = make()
    resumed.saver.restore(resumed.saver.checkpoints.latest())
    resumed.catch_up(3)
    resumed.catch_up(4)  # not a step to evaluate
    assert resumed.evaluated == []
    assert resumed.saver.result()["best"]["accuracy"] == 0.5


def test_a_stop_ends_an_evaluation_at_once_and_saves_the_step(make, stop):
    run = make(RunStoppedWhileEvaluating)
    began = time.monotonic()
    with pytest.raises(Stopped), stop.held():
        run.after_step(3, STAGE)
    assert time.monotonic() - began < 15
    assert run.saver.checkpoints.steps() == [3]
