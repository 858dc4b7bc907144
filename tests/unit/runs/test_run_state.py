"""How a run ended is in its folder, whatever ended it: each way a run can end, in a process that really ends so."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vr1_ray.cli import main
from vr1_ray.commands.runs import runs_text
from vr1_ray.commands.status import status_text
from vr1_ray.config import ConfigError, ModelConfig, RunConfig, save_config
from vr1_ray.runs.lock import held
from vr1_ray.runs.run_folder import write_json, write_result
from vr1_ray.runs.run_state import (
    ERROR_LOG,
    STATE,
    begin,
    now_running,
    process_start,
    read_state,
    recorded,
)
from vr1_ray.runs.stopping import Stopped


@pytest.fixture
def config(tmp_path):
    config = RunConfig(
        kind="sft", name="demo", runs_folder=str(tmp_path), model=ModelConfig(path="m")
    )
    save_config(config, config.folder / "config.yaml")
    return config


def end_with(config, error):
    """A run that begins, runs, and ends with an error; the notes it has for the user."""

    def run():
        with recorded(config):
            begin(config)
            now_running(config)
            raise error

    with pytest.raises(type(error)):
        run()
    return getattr(error, "__notes__", [])


def test_the_status_of_a_live_run_says_who_holds_it(config, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with held(config.folder), recorded(config):
        begin(config)
        text = status_text(str(config.folder))
    assert f"held by     process {os.getpid()} on {socket.gethostname()}, Slurm job 7" in text
    assert "held by" not in status_text(str(config.folder))


def test_a_run_is_starting_then_running_then_finished(config):
    seen = []
    with recorded(config):
        begin(config)
        seen.append(read_state(config.folder).state)
        assert (
            status_text(str(config.folder)).splitlines()[2].startswith("state       starting for")
        )
        now_running(config)
        seen.append(read_state(config.folder).state)
        write_result(config, {"kind": "sft"})
    assert [*seen, read_state(config.folder).state] == ["starting", "running", "finished"]


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (RuntimeError("trainer 0 died\nmore"), "failed", "trainer 0 died"),
        (ValueError("data.train: gone"), "failed", "data.train: gone"),
        (KeyError("answer"), "failed", "KeyError: 'answer'"),
        (OSError(28, "No space left"), "failed", "OSError: [Errno 28] No space left"),
        (Stopped(), "stopped", "SIGTERM"),
        (Stopped(signal.SIGINT), "stopped", "Ctrl-C"),
        (KeyboardInterrupt(), "stopped", "Ctrl-C"),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_end_leaves_its_state_and_cause_and_a_failure_its_traceback(
    config, error, state, cause
):
    notes = end_with(config, error)
    found = read_state(config.folder)
    assert (found.state, found.cause) == (state, cause)
    line = status_text(str(config.folder)).splitlines()[2]
    assert re.match(rf"state       {state} \d+ s ago: {re.escape(cause)}", line), line
    log = config.folder / ERROR_LOG
    if state == "failed":
        assert notes == [f"full traceback: {log.resolve()}"]
        assert "in run" in log.read_text()
        assert f"traceback   {log.resolve()}" in status_text(str(config.folder))
    else:
        assert not log.exists()
        assert notes == ["no checkpoint was saved yet: the same command begins anew"]


def test_a_stopped_run_says_what_it_goes_on_from(config):
    folder = config.folder / "checkpoints" / "step_000012"
    folder.mkdir(parents=True)
    assert end_with(config, Stopped()) == [f"the same command goes on from {folder}"]


def test_a_start_that_is_refused_changes_nothing_of_the_run_that_is_there(config):
    end_with(config, RuntimeError("first"))
    before = (config.folder / STATE).read_text()
    with pytest.raises(ConfigError), recorded(config):
        raise ConfigError("seed: changed")
    assert (config.folder / STATE).read_text() == before


def test_a_run_whose_process_is_gone_was_killed_and_one_that_works_is_not(config):
    code = (
        "import sys, time; from vr1_ray.config import load_config; from vr1_ray.runs import run_state\n"
        f"config = load_config({str(config.folder / 'config.yaml')!r})\n"
        "run_state.begin(config); run_state.now_running(config); print('there', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        assert read_state(config.folder).state == "running"
        assert f"(process {process.pid} on {socket.gethostname()})" in status_text(
            str(config.folder)
        )
        process.kill()
        deadline = time.monotonic() + 20
        while read_state(config.folder).state == "running" and time.monotonic() < deadline:
            time.sleep(0.01)  # dead, and not collected yet: a zombie is no run
        assert read_state(config.folder).state == "killed"
    finally:
        process.kill()
        process.wait(20)
    assert "state       killed: process" in status_text(str(config.folder))


def test_a_later_process_of_the_same_number_is_not_the_run(config):
    begin(config)
    state = json.loads((config.folder / STATE).read_text())
    assert state["process_start"] == process_start(os.getpid())
    write_json(config.folder / STATE, state | {"process_start": "another"})
    assert read_state(config.folder).state == "killed"
    write_json(config.folder / STATE, state | {"host": "elsewhere", "process_start": "another"})
    assert read_state(config.folder).state == "starting"  # of another host nobody can tell


def test_a_command_without_a_run_folder_says_the_full_path_of_its_traceback(
    tmp_path, monkeypatch, capsys
):
    def broken(*_):
        raise KeyError("answer")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vr1_ray.config.load_config", broken)
    assert main(["run", "x.yaml"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "vr1: failed: KeyError: 'answer'",
        f"full traceback: {tmp_path / 'vr1_error.log'}",
    ]
    assert "in broken" in Path(told[1].removeprefix("full traceback: ")).read_text()


def test_the_runs_of_a_folder_are_listed_by_their_last_change(config, tmp_path, capsys):
    best = {"step": 4, "accuracy": 0.75, "checkpoint": "c"}
    with recorded(config):
        begin(config)
        write_result(config, {"kind": "sft", "best": best})
    (config.folder / "metrics.jsonl").write_text(json.dumps({"step": 6}) + "\n")
    part = RunConfig(kind="eval", name="recipe/base", runs_folder=str(tmp_path))
    save_config(part, part.folder / "config.yaml")
    write_result(part, {"kind": "eval", "metrics": {"accuracy": 0.5}})
    recipe = RunConfig(kind="recipe", name="recipe", runs_folder=str(tmp_path))
    end_with(recipe, RuntimeError("no room"))
    os.utime(part.folder / "config.yaml", (1, 1))
    os.utime(part.folder / "result.json", (1, 1))
    assert main(["runs", str(tmp_path)]) == 0
    lines = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    rows = {line[0]: line[1:5] for line in lines[1:4]}
    assert lines[0] == ["run", "kind", "state", "step", "best", "last change"]
    assert lines[1][0] == "recipe/base"  # the oldest first
    assert rows["recipe/base"] == ["eval", "finished", "-", "accuracy 0.500"]
    assert rows["demo"] == ["sft", "finished", "6/?", "accuracy 0.750 (step 4)"]
    assert rows["recipe"] == ["recipe", "failed", "-", "-"]


def test_a_run_that_cannot_be_read_hides_no_other(config, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("kind: nonsense\n")
    text = runs_text(tmp_path)
    assert "broken" in text
    assert "can't be read: " in text
    assert "\ndemo " in text


def test_a_folder_without_runs_says_what_to_give(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 2
    assert main(["runs", str(tmp_path / "nowhere")]) == 2
    assert "start one" in capsys.readouterr().err


def test_a_recipe_ends_as_its_step_does_and_says_nothing_twice(config, tmp_path):
    recipe = RunConfig(kind="recipe", name="recipe", runs_folder=str(tmp_path))
    for error, state, told in (
        (
            RuntimeError("no room"),
            "failed",
            f"full traceback: {(config.folder / ERROR_LOG).resolve()}",
        ),
        (Stopped(), "stopped", "no checkpoint was saved yet: the same command begins anew"),
    ):

        def run(error=error):
            with recorded(recipe):
                begin(recipe)
                end_with(config, error)
                raise error

        with pytest.raises(type(error)):
            run()
        assert error.__notes__ == [told]
        assert read_state(recipe.folder).state == read_state(config.folder).state == state
