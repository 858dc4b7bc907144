"""What a run writes is for who started it alone; `tracking.share` leaves it to the umask."""

import os

import pytest

from vr1_ray.actors.process import begin_process
from vr1_ray.config import EvalConfig, RunConfig, TrackingConfig
from vr1_ray.rollout.vllm_environment import set_environment
from vr1_ray.runs.run_folder import keep_config, write_json
from vr1_ray.runs.run_state import begin, recorded, write_traceback
from vr1_ray.tracking.privacy import PRIVATE


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def config_of(tmp_path, **tracking):
    return RunConfig(
        kind="rl",
        name="demo",
        runs_folder=str(tmp_path),
        eval=EvalConfig(data="d", every_steps=1),
        benchmarks=["mathvista:f"],
        tracking=TrackingConfig(**tracking),
    )


def mode_of(path):
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(("share", "of_folder"), [(False, 0o700), (True, 0o755)])
def test_logs_rollouts_evaluations_and_benchmarks_are_private_or_shared(tmp_path, share, of_folder):
    config = config_of(tmp_path, share=share)
    keep_config(config, is_resumed=False)
    write_json(config.folder / "evaluations/step_000001.json", {})
    assert {name: mode_of(config.folder / name) for name in PRIVATE} == dict.fromkeys(
        PRIVATE, of_folder
    )
    assert mode_of(config.folder) == 0o755
    assert mode_of(config.folder / "config.yaml") == 0o644


@pytest.mark.parametrize(("share", "of_file"), [(False, 0o600), (True, 0o644)])
def test_files_of_logs_are_as_open_as_their_folder(tmp_path, share, of_file, monkeypatch):
    config = config_of(tmp_path, share=share)
    keep_config(config, is_resumed=False)
    monkeypatch.setenv("VLLM_LOGGING_CONFIG_PATH", "")
    set_environment(1, str(config.folder / "logs/rollout_0.vllm.log"))
    process = os.fork()
    if not process:
        begin_process(str(config.folder / "logs"), "trainer_0")
        os._exit(0)
    os.waitpid(process, 0)
    with recorded(config):
        begin(config)
        write_traceback(config.folder, RuntimeError("it ends"))
    files = {path.name: mode_of(path) for path in (config.folder / "logs").iterdir()}
    names = (
        "error.log",
        "rollout_0.vllm.log",
        "rollout_0.vllm.log.config.json",
        "trainer_0.log",
    )
    assert files == dict.fromkeys(names, of_file)


def test_what_an_earlier_start_left_open_is_closed(tmp_path):
    config = config_of(tmp_path)
    logs = config.folder / "logs"
    logs.mkdir(parents=True)
    (logs / "trainer_0.log").write_text("of an earlier version")
    keep_config(config, is_resumed=True)
    assert (mode_of(logs), mode_of(logs / "trainer_0.log")) == (0o700, 0o600)
    keep_config(config_of(tmp_path, share=True), is_resumed=True)
    assert (mode_of(logs), mode_of(logs / "trainer_0.log")) == (0o755, 0o644)


def test_a_folder_that_is_missing_on_a_node_is_made_private(tmp_path):
    set_environment(1, str(tmp_path / "elsewhere/logs/rollout_0.vllm.log"))
    assert mode_of(tmp_path / "elsewhere/logs") == 0o700
