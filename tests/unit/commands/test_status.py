"""The screen of a run, from folders as runs leave them."""

import json
import os
import subprocess
import sys
import time

import pytest

from vr1_ray.cli import main
from vr1_ray.commands.status import status_text
from vr1_ray.config import (
    ConfigError,
    CurriculumConfig,
    ModelConfig,
    RunConfig,
    StageConfig,
    save_config,
)
from vr1_ray.runs.checkpoints import Checkpoints
from vr1_ray.runs.run_folder import write_result

NOW = 2_000_000_000.0
ROW = {
    "step": 12,
    "stage": 2,
    "max_response_tokens": 192,
    "group_size": 8,
    "reward/mean": 0.625,
    "accuracy": 0.75,
    "response_tokens/mean": 61.25,
    "truncation_rate": 0.031,
    "time/step": 4.0,
}
STAGES = [
    StageConfig(max_response_tokens=96, group_size=16, steps=10),
    StageConfig(max_response_tokens=192, group_size=8, steps=30),
]


@pytest.fixture
def config(tmp_path):
    """An RL run of 40 steps that has its folder and nothing else yet."""
    config = RunConfig(
        kind="rl",
        name="demo",
        runs_folder=str(tmp_path),
        model=ModelConfig(path="m"),
        curriculum=CurriculumConfig(stages=STAGES),
    )
    save_config(config, config.folder / "config.yaml")
    return config


def log(config, row):
    path = config.folder / "metrics.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


def written(path, *, seconds_ago):
    """Make a file or folder look that old at NOW."""
    os.utime(path, times=(NOW - seconds_ago,) * 2)


@pytest.fixture
def now(monkeypatch):
    """The screen is asked for at NOW, however slow this machine is."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def checkpoint(config, step, best=None):
    return Checkpoints(config.folder).save(
        step,
        write=lambda folder: (folder / "weights").write_text("some"),
        state={"best": best, "total_steps": 40},
    )


def test_a_run_in_the_middle_shows_where_it_stands(config, tmp_path, now):
    written(log(config, ROW), seconds_ago=171)
    folder = checkpoint(config, 10, best={"step": 10, "accuracy": 0.7})
    written(folder, seconds_ago=3661)
    lines = status_text("demo", runs_folder=str(tmp_path)).splitlines()
    assert lines == [
        f"run         {config.folder}",
        "kind        rl",
        "state       not finished; step 12 was logged 2:51 ago",
        "step        12/40, stage 2 (192 tokens x 8)",
        "figures     reward 0.625, accuracy 0.750, length 61.2 tokens, cut 3.1%, step time 4.0 s",
        f"checkpoint  step 10, 1:01:01 ago, {folder}",
        "checkpoint  best of step 10, accuracy 0.700",
        f"logs        {config.folder / 'logs'}",
    ]


def test_a_run_can_be_named_by_its_folder(config):
    assert "kind        rl" in status_text(str(config.folder), runs_folder="nowhere")


def test_a_run_without_a_step_says_so(config, tmp_path, now):
    written(config.folder / "config.yaml", seconds_ago=12)
    text = status_text("demo", runs_folder=str(tmp_path))
    assert "no step yet, started 12 s ago" in text
    assert "checkpoint  none" in text


def test_a_finished_run_says_so(config, tmp_path, now):
    log(config, ROW | {"step": 40})
    write_result(config, {"kind": "rl", "wall_seconds": 90.0})
    written(config.folder / "result.json", seconds_ago=59)
    text = status_text("demo", runs_folder=str(tmp_path))
    assert "finished 59 s ago, took 1:30" in text
    assert "not finished" not in text


def test_a_torn_checkpoint_is_shown_with_the_one_before(config, tmp_path):
    checkpoint(config, 10)
    (checkpoint(config, 11) / "weights").unlink()
    text = status_text("demo", runs_folder=str(tmp_path))
    assert "step_000011 is torn and was skipped: weights is missing" in text
    assert "checkpoint  step 10," in text
    (config.folder / "checkpoints" / "step_000010" / "weights").unlink()
    text = status_text("demo", runs_folder=str(tmp_path))
    assert "step_000010 is torn" in text


def test_the_steps_of_a_cold_start_are_known_from_its_checkpoint(tmp_path):
    config = RunConfig(kind="sft", name="cold", runs_folder=str(tmp_path))
    save_config(config, config.folder / "config.yaml")
    log(config, {"step": 3, "loss": 0.5})
    assert "step        3/?\nfigures     loss 0.5000\n" in status_text(str(config.folder))
    checkpoint(config, 2)
    assert "step        3/40\n" in status_text(str(config.folder))


def test_a_recipe_shows_every_step_and_the_screen_of_the_newest(tmp_path):
    data = RunConfig(kind="figure_math", name="recipe/data", runs_folder=str(tmp_path))
    write_result(data, {"kind": "figure_math", "wall_seconds": 3.0})
    os.utime(data.folder / "result.json", times=(1, 1))
    cold = RunConfig(kind="sft", name="recipe/cold", runs_folder=str(tmp_path))
    save_config(cold, cold.folder / "config.yaml")
    lines = status_text("recipe", runs_folder=str(tmp_path)).splitlines()
    assert lines[1].startswith("data             finished")
    assert lines[2].startswith("cold             not finished")
    assert f"run         {cold.folder}" in lines
    assert "kind        figure_math" in status_text(str(data.folder))


def test_an_unknown_run_lists_those_there_are(config, tmp_path, capsys):
    step = RunConfig(kind="sft", name="recipe/cold", runs_folder=str(tmp_path))
    save_config(step, step.folder / "config.yaml")
    with pytest.raises(ConfigError, match=r"'other' is neither .* demo, recipe/cold"):
        status_text("other", runs_folder=str(tmp_path))
    assert main(["status", "other", "--runs_folder", str(tmp_path)]) == 2
    assert "demo, recipe/cold" in capsys.readouterr().err


def test_the_screen_needs_neither_ray_nor_torch(config, tmp_path):
    code = (
        "import sys; from vr1_ray.cli import main\n"
        f"assert main(['status', 'demo', '--runs_folder', {str(tmp_path)!r}]) == 0\n"
        "print([m for m in ('ray', 'torch', 'vllm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    assert "kind        rl" in done.stdout
    assert done.stdout.strip().endswith("[]")
