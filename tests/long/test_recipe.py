"""The whole recipe, shrunk: data, base evaluation, cold start, RL, summary, pictures; and what a second call does."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import MISSING, PROGRAM, Browser
from vr1_ray.tracking.rollout_store import load_groups

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
FIGURES = ("accuracy", "hard_reward", "format_rate", "mean_response_tokens", "truncation_rate")
SHRUNK = [
    "",
    "steps.figure_math.figure_math.num_train=64",
    "steps.figure_math.figure_math.num_validation=8",
    "steps.figure_math.figure_math.num_test=24",
    "steps.figure_math.figure_math.num_demonstrations=64",
    "steps.cold_start.max_steps=2",
    "steps.cold_start.prompts_per_step=8",
    "steps.rl.prompts_per_step=4",
    "steps.rl.curriculum.stages=[{max_response_tokens: 32, group_size: 4, steps: 1}]",
    "eval.max_response_tokens=32",
    "steps.rl.eval.max_response_tokens=32",
    "rollout.kv_cache_gib=0.1",
    "cluster.address=local",
    "cluster.num_cpus=2",
    "",
]


def quickstart(folder: Path) -> str:
    overrides = [f"runs_folder={folder}", *[line for line in SHRUNK if line]]
    command = [sys.executable, "-m", "vr1_ray.cli", "run", "configs/quickstart.yaml", *overrides]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    return folder / "quickstart", quickstart(folder)


def test_the_summary_compares_base_cold_start_and_rl(finished):
    summary = json.loads((finished[0] / "summary.json").read_text())
    for figure in FIGURES:
        assert set(summary[figure]) == {"base", "cold_start", "rl"}
    assert set(summary["num_prompts"].values()) == {24}
    assert [stage["max_response_tokens"] for stage in summary["stages"]] == [32]
    assert summary["wall_seconds"]["total"] > 0


def test_pictures_and_report_are_drawn(finished):
    folder, _ = finished
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "<img" in (folder / "report.html").read_text()


@pytest.mark.skipif(not PROGRAM, reason=MISSING)
def test_the_report_opens_a_saved_group_with_its_picture_and_rewards(finished, tmp_path):
    folder, _ = finished
    group = load_groups(folder / "rl", 1)[0]
    with Browser(tmp_path) as browser:
        browser.open((folder / "report.html").as_uri())
        browser.wait("document.documentElement.dataset.ready")
        browser.run("document.getElementById('row-0').click()")
        browser.wait("document.querySelector('#group .response')")
        source = browser.run("document.querySelector('#group img').src")
        assert base64.b64decode(source.split(",")[1]) == group.prompt.images[0].data
        facts = browser.run(
            "[...document.querySelectorAll('#group .facts')].map((one) => one.textContent)"
        )
        assert [float(fact.split("reward ")[1].split("advantage")[0]) for fact in facts] == [
            pytest.approx(reward, rel=1e-3) for reward in group.rewards_G
        ]
        assert browser.run("document.querySelector('#held-out + .scroll td').textContent")
        browser.wait("document.querySelector('#panels svg .trace')")
        assert browser.errors == []


def test_the_policy_carries_its_history(finished):
    card = json.loads((finished[0] / "rl" / "policy" / "vr1_policy.json").read_text())
    assert card["history"] == ["cold_start", "rl"]


def test_a_frozen_vision_tower_stays_as_it_was(finished):
    from safetensors.torch import load_file

    base = load_file(ROOT / "examples" / "vr1_tiny" / "model" / "model.safetensors")
    cold = load_file(finished[0] / "cold_start" / "policy" / "model.safetensors")
    changed = {name for name in base if not base[name].equal(cold[name])}
    assert not [name for name in changed if "visual" in name]
    assert any("layers" in name for name in changed)


def test_the_user_sees_steps_table_and_paths(finished):
    printed = finished[1]
    for words in ("1/4 figure_math", "3/4 cold_start", "accuracy", "summary.json", "report.html"):
        assert words in printed


def test_a_finished_recipe_is_kept_and_said_so(finished):
    folder, _ = finished
    before = (folder / "rl" / "policy" / "model.safetensors").stat().st_mtime
    printed = quickstart(folder.parent)
    assert printed.count("finished already") == 4
    assert (folder / "rl" / "policy" / "model.safetensors").stat().st_mtime == before
