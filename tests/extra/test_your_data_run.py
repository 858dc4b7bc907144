"""From rows to a trained policy that answers, as examples/your_data says, shrunk."""

import os
import subprocess
import sys

import pytest

from tests.integration.test_your_data import ROOT, rows  # noqa: F401  (a fixture)
from vr1_ray.commands.init import init
from vr1_ray.models.card import read_card

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


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rows_become_a_policy_that_answers(rows, monkeypatch):  # noqa: F811
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
