"""One process a run folder, with real ones: a second start, a killed holder, a stopped one that wakes and must write nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vr1_ray.cli import main
from vr1_ray.runs import lock
from vr1_ray.runs.lock import LockLostError, RunLockedError, held, holder, look, newest
from vr1_ray.runs.run_folder import write_json

DEADLINE = 240.0  # of a machine that does much else

# A run that writes all the time: JSON, metrics through a file that stays open, a folder, a removal.
WRITER = """
import sys, time
from pathlib import Path
from vr1_ray.config import TrackingConfig
from vr1_ray.runs.lock import held, look
from vr1_ray.runs.run_folder import write_json
from vr1_ray.tracking import Tracker

folder = Path(sys.argv[1])
with held(folder), Tracker(
    folder, TrackingConfig(console=False), total_steps=9, before_write=lambda: look(folder)
) as tracker:
    for step in range(1, 100_000):
        {write}
        time.sleep(0.01)
"""
WAYS = {
    "json": 'write_json(folder / "state.json", {"step": step})',
    "metrics": 'tracker.log(step, {"a": 1.0})',
    "rename": '(folder / "steps").mkdir(exist_ok=True); (folder / "steps").rename(folder / "done"); '
    '(folder / "done").rmdir()',
}


def start(folder, way="json"):
    """A process at a run folder, when it has begun to write."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.replace("{write}", WAYS[way]), str(folder)],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: holder(folder) is not None and holder(folder).pid == process.pid, process)
    wait_until(lambda: len(list(folder.iterdir())) > 1, process)
    return process


def wait_until(is_so, process):
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end(process):
    process.kill()
    process.communicate()


@pytest.fixture
def from_another_machine(monkeypatch):
    """This process as one of a machine from which the holder's can't be seen."""
    monkeypatch.setattr(lock, "process_space", lambda: "another/space")
    monkeypatch.setattr(lock, "STALE_SECONDS", 1.5)
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.05)


def content_of(folder):
    return {
        path: (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if lock.LOCK not in path.parts
    }


def test_a_second_start_is_refused_with_who_holds_the_folder(tmp_path):
    process = start(tmp_path / "run")
    try:
        with pytest.raises(RunLockedError, match=rf"held by process {process.pid} on "):
            lock.take(tmp_path / "run")
        assert process.poll() is None
    finally:
        end(process)


def test_a_killed_holder_is_taken_over_at_once_and_told(tmp_path, caplog):
    process = start(tmp_path / "run")
    end(process)
    caplog.set_level("INFO", "vr1_ray")
    began = time.monotonic()
    with held(tmp_path / "run"):
        assert time.monotonic() - began < 5
        assert holder(tmp_path / "run").pid == os.getpid()
    assert f"taken over from process {process.pid}" in caplog.text


def test_a_stopped_process_of_this_machine_is_never_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.1)
    process = start(tmp_path / "run")
    try:
        process.send_signal(signal.SIGSTOP)
        file = lock.lock_file(tmp_path / "run", 1)
        os.utime(file, (1, 1))  # a heartbeat as old as can be
        with pytest.raises(RunLockedError, match=str(process.pid)):
            lock.take(tmp_path / "run")
    finally:
        end(process)


@pytest.mark.parametrize("way", WAYS)
def test_a_holder_that_sleeps_through_a_takeover_wakes_and_writes_nothing(
    tmp_path, way, from_another_machine
):
    folder = tmp_path / "run"
    process = start(folder, way)
    try:
        process.send_signal(signal.SIGSTOP)
        with held(folder):
            write_json(folder / "of_the_second.json", {})
            before = content_of(folder)
            process.send_signal(signal.SIGCONT)
            error = process.communicate(timeout=DEADLINE)[1]
            assert process.returncode == 1
            assert "LockLostError" in error
            assert f"the run is another's: process {os.getpid()} on" in error
            assert content_of(folder) == before
            look(folder)  # still this process's
    finally:
        end(process)


def test_a_live_holder_elsewhere_is_known_by_its_heartbeat(
    tmp_path, from_another_machine, monkeypatch, caplog
):
    monkeypatch.setattr(lock, "STALE_SECONDS", 3 * lock.BEAT_SECONDS)
    caplog.set_level("INFO", "vr1_ray")
    process = start(tmp_path / "run")
    try:
        with pytest.raises(RunLockedError, match=f"held by process {process.pid} on"):
            lock.take(tmp_path / "run")
        assert "waiting up to 15 s for its heartbeat" in caplog.text
    finally:
        end(process)


def test_of_many_that_take_over_one_holder_one_gets_the_folder(tmp_path):
    end(start(tmp_path / "run"))
    take = (
        "import sys, time; from pathlib import Path; from vr1_ray.runs.lock import held\n"
        "with held(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    )
    several = [
        subprocess.Popen(
            [sys.executable, "-c", take, str(tmp_path / "run")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    deadline = time.monotonic() + DEADLINE
    while sum(one.poll() is None for one in several) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [live] = [one for one in several if one.poll() is None]
    assert live.stdout.readline() == "mine\n"
    for one in several:
        if one is not live:
            assert "RunLockedError" in one.stderr.read()
        end(one)


def test_a_folder_is_free_again_when_its_holder_ends(tmp_path):
    folder = tmp_path / "run"
    for number in (1, 2, 3):
        with held(folder):
            assert newest(folder) == number
            (folder / "kept").write_text("")
        assert holder(folder) is None
    assert [path.name for path in (folder / "lock").iterdir()] == ["000003.free"]


def test_a_start_that_wrote_nothing_leaves_no_folder(tmp_path):
    with held(tmp_path / "runs" / "run"):
        pass
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_was_removed_and_begun_anew_is_another_runs(tmp_path):
    folder = tmp_path / "run"
    mine = lock.take(folder)
    for path in (folder / "lock").iterdir():
        path.unlink()
    theirs = lock.take(folder)
    assert mine.number == theirs.number == 1
    with pytest.raises(LockLostError):
        mine.look()
    mine.release()
    theirs.look()
    theirs.release()


def test_the_lock_is_for_its_user_alone_unless_the_run_is_shared(tmp_path):
    before = os.umask(0o022)
    try:
        for is_shared, of_file, of_folder in ((False, 0o600, 0o700), (True, 0o644, 0o755)):
            folder = tmp_path / str(is_shared)
            with held(folder, is_shared=is_shared):
                assert lock.lock_file(folder, 1).stat().st_mode & 0o777 == of_file
                assert (folder / "lock").stat().st_mode & 0o777 == of_folder
                assert folder.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_the_lock_names_the_job(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with held(tmp_path):
        assert "Slurm job 7" in str(holder(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv(
        "RAY_JOB_CONFIG_JSON_ENV_VAR", '{"metadata": {"job_submission_id": "rl-7b"}}'
    )
    with held(tmp_path):
        assert "Ray job rl-7b" in str(holder(tmp_path))


def test_a_write_through_a_link_is_looked_at_too(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with held(tmp_path / "link"):
        lock._create(tmp_path / "run", 2, 0o600)  # another takes over
        for folder in (tmp_path / "link", tmp_path / "run"):
            with pytest.raises(LockLostError):
                (folder / "file").write_text("")
        (tmp_path / "beside").write_text("")  # what is no run's is nobody's
    assert not (tmp_path / "run" / "file").exists()


DRAWING = """
runs_folder: {runs}
name: demo
kind: figure_math
figure_math: {{folder: {runs}/data, num_train: 50000, num_validation: 1, num_test: 1, num_demonstrations: 1}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["figure_math", "recipe"])
def test_the_same_command_a_second_time_touches_nothing_of_the_live_run(tmp_path, kind, capsys):
    config = tmp_path / "demo.yaml"
    text = DRAWING.format(runs=tmp_path / "runs")
    if kind == "recipe":
        text = (
            f"kind: recipe\nname: demo\nruns_folder: {tmp_path / 'runs'}\nsteps:\n"
            f"  data: {{kind: figure_math, figure_math: {{folder: {tmp_path / 'runs/data'}, num_train: 50000}}}}\n"
        )
    config.write_text(text)
    live = subprocess.Popen(
        [sys.executable, "-m", "vr1_ray.cli", "run", str(config)], stderr=subprocess.PIPE, text=True
    )
    state = tmp_path / "runs/demo" / ("data/state.json" if kind == "recipe" else "state.json")
    try:
        wait_until(state.is_file, live)
        before = state.read_bytes(), state.stat().st_mtime_ns
        for resume in ("auto", "never"):
            assert main(["run", str(config), f"checkpoint.resume={resume}"]) == 2
            assert f"held by process {live.pid} on" in capsys.readouterr().err
        assert (state.read_bytes(), state.stat().st_mtime_ns) == before
        assert live.poll() is None
    finally:
        end(live)
