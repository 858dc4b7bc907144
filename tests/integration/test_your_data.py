"""From rows to a trained policy, as examples/your_data says, shrunk; and a config for rows in every form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.your_data.make_rows import FORMS, WITH_RESPONSES, write_rows
from vr1_ray.commands.init import init
from vr1_ray.config import load_config
from vr1_ray.models.card import read_card

ROOT = Path(__file__).parents[2]
SHRUNK = [
    "model.path={tiny}",
    "steps.cold_start.max_steps=2",
    "steps.cold_start.prompts_per_step=4",
    "steps.rl.prompts_per_step=2",
    "steps.rl.curriculum.stages=[{{max_response_tokens: 16, group_size: 2, steps: 1}}]",
    "rollout.engine=hf",
    "cluster.address=local",
    "cluster.num_cpus=2",
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yours")
    write_rows(folder / "data", 24)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_config_is_written_for_rows_in_every_form(rows, monkeypatch, form):
    monkeypatch.chdir(rows)
    said = init(form, data=f"data/{form}.jsonl", model=str(ROOT / "examples/vr1_tiny/model"))
    config = load_config(f"{form}.yaml")
    assert config.kind == ("recipe" if form in WITH_RESPONSES else "rl")
    assert "24 rows, a picture a row" in said
    assert f"vr1 run {form}.yaml" in said
    assert config.data.max_prompt_tokens < 96  # counted by the model's processor


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rows_become_a_policy_that_answers(rows, monkeypatch):
    monkeypatch.chdir(rows)
    tiny = ROOT / "examples/vr1_tiny/model"
    (rows / "examples/vr1_tiny").mkdir(parents=True)
    (rows / "examples/vr1_tiny/model").symlink_to(tiny)
    init("mine", data="data/sharegpt.jsonl")

    def vr1(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "vr1_ray.cli", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done

    vr1("run", "mine.yaml", *[line.format(tiny=tiny) for line in SHRUNK])
    policy = rows / "runs/mine/rl/policy"
    assert read_card(str(policy))["history"] == ["cold_start", "rl"]
    assert read_card(str(policy))["max_response_tokens"] == 16
    picture = str(ROOT / "examples/your_data/figure.png")
    answered = vr1(
        "generate", str(policy), "--image", picture, "--question", "How many?", "--engine", "hf"
    )
    assert "at most 16 tokens a response, what the policy was trained with" in answered.stderr
