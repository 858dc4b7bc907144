"""What happens between two RL steps: evaluation, saving, stopping. The fleet is not started."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import (
    CheckpointConfig,
    ClusterConfig,
    CurriculumConfig,
    EvalConfig,
    ModelConfig,
    RunConfig,
    StageConfig,
)
from vr1_ray.evaluation.judge import JudgeError
from vr1_ray.loops.held_out import evaluation_path
from vr1_ray.loops.rl_evaluation import logged
from vr1_ray.loops.rl_run import RlRun
from vr1_ray.runs.run_folder import write_json
from vr1_ray.runs.stopping import Stopped, StopSignal
from vr1_ray.tracking.jsonl import read_rows
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
        metrics = {self.config.eval.best_by: self.accuracies[label]}
        path = evaluation_path(self.config.folder, label)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"metrics": metrics}))
        return metrics


class RunWithoutJudge(RunWithoutFleet):
    """Its judge is down."""

    def evaluate(self, label):
        raise JudgeError("3 of 3 judgements are missing")


class RunOnAFullDisk(RunWithoutFleet):
    """Its evaluation is larger than the room there is."""

    def evaluate(self, label):
        rows = [{"response": "x" * 1024}] * 1024
        write_json(evaluation_path(self.config.folder, label), {"metrics": {}, "rows": rows})
        return {"accuracy": 1.0}


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

    def make_run(kind=RunWithoutFleet, resumed=None, **accuracies):
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
        )
        prompts = [Prompt(prompt_id="a", question="How many?", answer="3")]
        run = kind(config, Fleet(config), prompts, prompts, resumed=resumed, stop=stop)
        run.accuracies, run.evaluated = accuracies, []
        return run

    return make_run


def test_a_step_is_saved_when_it_is_due_the_last_or_the_best_so_far(make):
    run = make(step_000003=0.5, step_000006=0.4, step_000009=0.3)
    for step in range(1, 10):
        run.after_step(step, STAGE)
    assert run.evaluated == ["step_000003", "step_000006", "step_000009"]
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
    resumed.evaluation.catch_up(found.step)
    assert resumed.evaluated == ["step_000003"]
    assert resumed.saver.result()["best"]["step"] == 3


def stopped_while_sampling(run, stop):
    with stop.held(), run.stopping_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def test_a_stop_while_the_next_step_is_sampled_saves_the_last_whole_one_at_once(make, stop):
    run = make()
    run.after_step(1, STAGE)
    after_one = run.state(STAGE)
    run.sampler.next(1)  # of step 2, which is not trained
    began = time.monotonic()
    with pytest.raises(Stopped):
        stopped_while_sampling(run, stop)
    assert time.monotonic() - began < 0.9
    found = run.saver.checkpoints.latest()
    assert found.step == 1
    assert {key: found.state[key] for key in after_one} == json.loads(json.dumps(after_one))


def test_a_stop_in_the_first_step_has_nothing_to_save(make, stop):
    run = make()
    with pytest.raises(Stopped):
        stopped_while_sampling(run, stop)
    assert run.saver.checkpoints.steps() == []


def test_a_stop_does_not_save_a_step_twice(make, stop):
    run = make()
    run.after_step(4, STAGE)
    before = run.saver.checkpoints.path(4).stat().st_mtime_ns
    with pytest.raises(Stopped):
        stopped_while_sampling(run, stop)
    assert run.saver.checkpoints.path(4).stat().st_mtime_ns == before


def test_where_engines_hold_the_trainers_gpus_the_step_is_finished_first(make, stop):
    run = make()
    run.config = replace(run.config, cluster=ClusterConfig(placement="colocated"))
    run.after_step(1, STAGE)
    stopped_while_sampling(run, stop)
    assert stop.is_requested
    assert run.saver.checkpoints.steps() == []


def test_an_evaluation_that_was_made_is_not_made_again_by_a_resumed_run(make):
    run = make(step_000003=0.5)
    run.after_step(3, STAGE)
    resumed = make()
    resumed.saver.restore(resumed.saver.checkpoints.latest())
    resumed.evaluation.catch_up(3)
    resumed.evaluation.catch_up(4)  # not a step to evaluate
    assert resumed.evaluated == []
    assert resumed.saver.result()["best"]["accuracy"] == 0.5


def test_a_stop_ends_an_evaluation_at_once_and_saves_the_step(make, stop):
    run = make(RunStoppedWhileEvaluating)
    began = time.monotonic()
    with pytest.raises(Stopped), stop.held():
        run.after_step(3, STAGE)
    assert time.monotonic() - began < 15
    assert run.saver.checkpoints.steps() == [3]


def test_the_last_step_is_left_to_the_evaluation_at_the_end(make):
    run = make(policy=0.7)
    run.config.eval.at_end = True
    run.after_step(9, STAGE)
    assert run.evaluated == []
    run.evaluation.at_end()
    assert run.evaluated == ["policy"]
    assert run.saver.result()["best"]["step"] == 9


def test_the_figures_of_an_evaluation_join_the_row_of_their_step(make):
    run = make(start=0.1, step_000003=0.5)
    run.config.eval.at_start = True
    run.evaluation.at_start()  # has no row
    run.tracker.log(3, {"kl": 0.25})
    run.after_step(3, STAGE)
    run.tracker.log(4, {"kl": 0.5})
    first, second = read_rows(run.config.folder / "metrics.jsonl")
    assert first.pop("time/evaluation") >= 0
    assert first == {"step": 3, "kl": 0.25, "evaluation/accuracy": 0.5}
    assert second == {"step": 4, "kl": 0.5}


def test_figures_are_logged_by_what_they_are_of():
    assert logged({"accuracy": 0.5, "mathvista": 0.25, "mathvista/GPS": 0.125}) == {
        "evaluation/accuracy": 0.5,
        "benchmark/mathvista": 0.25,
        "benchmark/mathvista/GPS": 0.125,
    }


def test_what_a_stop_left_to_evaluate_joins_the_row_when_the_run_is_resumed(make, stop):
    run = make()
    run.tracker.log(3, {"kl": 0.25})
    stop.is_requested = True
    with pytest.raises(Stopped):
        run.after_step(3, STAGE)
    run.tracker.close()

    stop.is_requested = False
    resumed = make(resumed=run.saver.checkpoints.latest(), step_000003=0.5)
    resumed.saver.restore(resumed.saver.checkpoints.latest())
    resumed.evaluation.catch_up(3)
    [row] = read_rows(resumed.config.folder / "metrics.jsonl")
    assert (row["kl"], row["evaluation/accuracy"]) == (0.25, 0.5)


def test_a_judge_that_is_down_costs_the_evaluation_and_not_the_run(make, capsys):
    run = make(RunWithoutJudge)
    for step in (3, 4):
        run.after_step(step, STAGE)
    assert run.saver.checkpoints.steps() == [4]  # saved as due, none as the best
    assert "best" not in run.saver.result()
    assert "ALARM step 3: its evaluation has no figures: 3 of 3" in capsys.readouterr().out


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a MB, mounted on the run's folder."""
    folder = tmp_path / "demo"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_the_evaluation_and_the_step_is_saved(make, small_disk, capsys):
    with make(RunOnAFullDisk) as run:
        run.evaluation.at_start()
        for step in (3, 4, 9):
            run.tracker.log(step, {"reward/mean": 0.5})
            run.after_step(step, STAGE)
        run.evaluation.at_end()
        assert run.saver.checkpoints.steps() == [4, 9]
    told = capsys.readouterr().out
    for step in (3, 9):
        assert (
            f"ALARM step {step}: its evaluation could not be written: [Errno 28] No space" in told
        )
    assert not list(small_disk.rglob("*.unfinished"))
    assert [row["step"] for row in read_rows(small_disk / "metrics.jsonl")] == [3, 4, 9]


def test_an_evaluation_without_the_figure_now_asked_for_is_made_again(make):
    run = make(step_000003=0.5)
    run.after_step(3, STAGE)
    resumed = make(step_000003=0.25)
    resumed.config.eval.best_by = "mathvista/GPS"
    resumed.saver.restore(resumed.saver.checkpoints.latest())
    resumed.evaluation.catch_up(3)
    assert resumed.evaluated == ["step_000003"]
    assert resumed.saver.result()["best"]["mathvista/GPS"] == 0.25


def test_a_curriculum_that_ends_early_is_announced_and_its_last_step_saved_and_evaluated(
    make, capsys
):
    run = make(policy=0.7)
    run.config.eval.at_end = True
    run.curriculum = SimpleNamespace(state={}, early_ends=[], is_over=False)
    for step in range(1, 6):
        run.tracker.log(step, {"kl": 0.25})
        if step == 5:
            end = "stage 1 ended after 5 of 9 steps: solved"
            run.curriculum = SimpleNamespace(state={}, early_ends=[end], is_over=True)
        run.settle_length(step)
    run.after_step(5, STAGE)
    run.evaluation.at_end()
    assert run.saver.checkpoints.steps() == [5]  # not due by checkpoint.every_steps, but the last
    assert run.saver.result()["best"]["step"] == 5
    assert read_rows(run.config.folder / "metrics.jsonl")[-1]["evaluation/accuracy"] == 0.7
    told = capsys.readouterr().out
    assert told.count("note: stage 1 ended after 5 of 9 steps: solved") == 1
    assert "note: the curriculum ends the run after step 5 of 9" in told
    run.curriculum = SimpleNamespace(state={}, early_ends=[], is_over=False)
    run.settle_length(3)  # gone back to before it
    assert run.saver.total_steps == 9
