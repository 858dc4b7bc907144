"""SIGTERM in a cold start inside a recipe: a checkpoint of the last whole step, exit code 143, and a resume.

Each run is `vr1 run` in a process of its own, as a scheduler stops it. No engine is started. What Ray's
waits do with a signal is tested first: the rest stands on it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import ray
from safetensors.torch import load_file

from vr1_ray.actors.waiting import wait_for
from vr1_ray.runs.stopping import Stopped, StopSignal

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
STEPS = 12


@pytest.fixture
def stop(local_ray):
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.listen()  # after ray.init, which has put its own handler there
    yield stop
    signal.signal(signal.SIGTERM, before)


def terminate_soon() -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()


def wait_for_a_task(seconds: float) -> list:
    """What a loop does most of its time; the task is started before the wait begins."""
    task = ray.remote(num_cpus=0)(lambda: time.sleep(seconds) or "done")
    return wait_for({"task": task.remote()}, phase="working", timeout_seconds=120)


def test_a_wait_for_actors_goes_on_when_a_signal_is_held_and_the_flag_is_set(stop):
    with stop.held():
        terminate_soon()
        assert wait_for_a_task(3.0) == ["done"]
        assert stop.is_requested


def test_a_wait_for_actors_that_may_be_interrupted_ends_with_stopped(stop):
    terminate_soon()
    began = time.monotonic()
    with pytest.raises(Stopped), stop.interruptible():
        wait_for_a_task(60.0)
    assert time.monotonic() - began < 50


def command(folder: Path) -> list[str]:
    """Command line of a recipe: draw 16 demonstrations, then train on them, saving only at the end."""
    text = f"""
kind: recipe
name: recipe
runs_folder: {folder}
model: {{path: {ROOT / "examples/vr1_tiny/model"}, max_model_len: 320}}
data: {{max_prompt_tokens: 96}}
trainer: {{num_workers: 1, num_cpus_per_worker: 0.5, num_threads: 1, optimizer: {{lr: 1.0e-3}}}}
cluster: {{address: local, num_cpus: 2, step_timeout_seconds: 300}}
steps:
  data:
    kind: figure_math
    figure_math:
      {{folder: {folder}/figures, num_train: 8, num_validation: 8, num_test: 8, num_demonstrations: 16}}
  cold:
    kind: sft
    prompts_per_step: 4
    max_steps: {STEPS}
    data: {{demonstrations: [{folder}/figures/demonstrations.json]}}
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(text)
    return [sys.executable, "-m", "vr1_ray.cli", "run", str(folder / "recipe.yaml")]


def run_to_end(folder: Path) -> str:
    done = subprocess.run(
        command(folder), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def steps_logged(folder: Path) -> list[int]:
    path = folder / "recipe" / "cold" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line)["step"] for line in lines]


def stop_after_step(folder: Path, step: int) -> subprocess.CompletedProcess:
    """Start the recipe, send one SIGTERM once `step` is logged, and wait for its end."""
    driver = subprocess.Popen(
        command(folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while step not in steps_logged(folder):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "the run did not reach the step in 300 s"
        time.sleep(0.01)
    driver.send_signal(signal.SIGTERM)
    out, err = driver.communicate(timeout=120)
    return subprocess.CompletedProcess(driver.args, driver.returncode, out, err)


def weights_of(folder: Path) -> dict:
    return load_file(folder / "recipe" / "cold" / "policy" / "model.safetensors")


def test_a_run_stopped_by_sigterm_resumes_to_the_weights_of_an_undisturbed_one(tmp_path):
    stopped = stop_after_step(tmp_path / "stopped", 2)
    assert stopped.returncode == 143, stopped.stdout[-3000:] + stopped.stderr[-3000:]
    assert "stopped by SIGTERM" in stopped.stderr
    run = tmp_path / "stopped" / "recipe" / "cold"
    (checkpoint,) = (run / "checkpoints").iterdir()
    last = steps_logged(tmp_path / "stopped")[-1]
    assert 2 <= last < STEPS
    assert checkpoint.name == f"step_{last:06d}"  # of the last whole step, not of a begun one
    assert not (run / "result.json").exists()

    printed = run_to_end(tmp_path / "stopped")
    assert f"going on from {checkpoint}" in printed
    assert steps_logged(tmp_path / "stopped") == list(range(1, STEPS + 1))
    result = json.loads((run / "result.json").read_text())
    assert result["checkpoint"] == str(run / "checkpoints" / f"step_{STEPS:06d}")

    run_to_end(tmp_path / "undisturbed")
    expected, found = weights_of(tmp_path / "undisturbed"), weights_of(tmp_path / "stopped")
    assert [name for name in expected if not expected[name].equal(found[name])] == []


def processes_of(folder: Path) -> list[int]:
    """Ray's processes and workers that a run started: they hold its session folder, or log into its run folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"VR1_TEST_RUN={folder}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # gone meanwhile, or of another user
    return found


@pytest.mark.parametrize(
    ("number", "code", "cause"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_signal_for_the_whole_process_group_saves_and_ends_like_one_for_the_run(
    tmp_path, number, code, cause
):
    """As `timeout`, job scripts and supervisors send it: to the process, and to its group, Ray's processes in it."""
    driver = subprocess.Popen(
        command(tmp_path),
        cwd=ROOT,
        env=os.environ | {"VR1_TEST_RUN": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, which this test is not in
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 300
    while 2 not in steps_logged(tmp_path):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "the run did not reach the step in 300 s"
        time.sleep(0.01)
    run = tmp_path / "recipe" / "cold"
    assert json.loads((run / "state.json").read_text())["state"] == "running"
    began = time.monotonic()
    driver.send_signal(number)
    os.killpg(driver.pid, number)
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == code, out[-3000:] + err[-3000:]
    assert time.monotonic() - began < 50  # it hung for 60 s when Ray went first
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert f"vr1: stopped by {cause}\nthe same command goes on from {checkpoint}" in err
    for folder in (run, tmp_path / "recipe"):
        state = json.loads((folder / "state.json").read_text())
        assert (state["state"], state["cause"]) == ("stopped", cause)
    while processes_of(tmp_path) and time.monotonic() - began < 60:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []  # in a session of its own Ray still ends with the run
