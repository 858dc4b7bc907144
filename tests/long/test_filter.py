"""`vr1 filter`, as a user runs it: killed with SIGKILL in the middle, it goes on, and what it writes is a data set."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vr1_ray.cli import main
from vr1_ray.config import DataConfig
from vr1_ray.data import load_prompts
from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
NUM_PROMPTS, NUM_SAMPLES = 24, 4


def config_in(folder: Path) -> Path:
    """An RL config of vr1-tiny with the transformers engine; its trainer is never started."""
    write_dataset(
        folder / "figures", seed=0, num_train=NUM_PROMPTS, num_validation=1, num_test=1, num_demonstrations=1
    )  # fmt: skip
    path = folder / "run.yaml"
    path.write_text(f"""
kind: rl
name: run
runs_folder: {folder}
model: {{path: {ROOT / "examples/vr1_tiny/model"}, max_model_len: 160}}
data: {{train: {folder / "figures"}, max_prompt_tokens: 96}}
rollout: {{engine: hf, num_engines: 1, num_cpus_per_engine: 0.2}}
reward_pools: {{default: {{num_actors: 1, num_cpus_per_actor: 0.1}}}}
curriculum: {{stages: [{{max_response_tokens: 24, group_size: 4, steps: 1}}]}}
filter: {{num_samples: {NUM_SAMPLES}, min_rate: 0.25, max_rate: 0.75, prompts_at_once: 2}}
cluster: {{address: local, num_cpus: 2, step_timeout_seconds: 120}}
""")
    return path


def start(config: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "vr1_ray.cli", "filter", str(config)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def rates_of(folder: Path) -> list[dict]:
    """The whole lines about prompts, in order."""
    path = folder / "run/filter/pass_rates.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines[1:]]


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """A filter that was killed after at least 3 prompts, and run again: the folder, and what was known at the kill."""
    folder = tmp_path_factory.mktemp("filter")
    config = config_in(folder)
    first = start(config)
    deadline = time.monotonic() + 240
    try:
        while len(rates_of(folder)) < 3:
            assert first.poll() is None, first.stdout.read()[-3000:]
            assert time.monotonic() < deadline, "no three prompts were tried in 240 s"
            time.sleep(0.02)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(timeout=30)
    known = rates_of(folder)
    assert not (folder / "run/filter/result.json").exists()
    second = start(config)
    printed, _ = second.communicate(timeout=300)
    assert second.returncode == 0, printed[-3000:]
    return folder, known, printed


def test_what_was_tried_before_the_kill_is_not_tried_again(filtered):
    folder, known, printed = filtered
    rows = rates_of(folder)
    assert 3 <= len(known) < NUM_PROMPTS
    assert rows[: len(known)] == known
    assert len({row["prompt_id"] for row in rows}) == len(rows) == NUM_PROMPTS
    assert f"{NUM_PROMPTS - len(known)} prompts to try, {len(known)} done" in printed


def test_only_pass_rates_inside_the_window_are_written_and_the_rows_read_as_they_were(filtered):
    folder, _, printed = filtered
    rates = {row["prompt_id"]: row["pass_rate"] for row in rates_of(folder)}
    assert all(rate * NUM_SAMPLES == int(rate * NUM_SAMPLES) for rate in rates.values())
    wanted = {key: rate for key, rate in rates.items() if 0.25 <= rate <= 0.75}
    found = load_prompts(DataConfig(), str(folder / "run/filter/dataset"), "train")
    assert {one.prompt_id: one.metadata["pass_rate"] for one in found} == wanted
    source = {
        one.prompt_id: one for one in load_prompts(DataConfig(), str(folder / "figures"), "train")
    }
    for one in found:
        own = source[one.prompt_id]
        assert (one.question, one.answer, one.images) == (own.question, own.answer, own.images)
        assert {k: v for k, v in one.metadata.items() if k != "pass_rate"} == own.metadata
    counts = json.loads((folder / "run/filter/result.json").read_text())["counts"]
    assert counts["kept"] == len(wanted) > 0
    assert sum(counts.values()) == NUM_PROMPTS
    assert f"train on it with data.train={folder / 'run/filter/dataset/train.jsonl'}" in printed


def test_another_window_starts_no_engine(filtered, capsys):
    folder, _, _ = filtered
    assert main(["filter", str(folder / "run.yaml"), "filter.min_rate=0", "filter.max_rate=1"]) == 0
    assert f"0 prompts to try, {NUM_PROMPTS} done" in capsys.readouterr().out
    assert (
        len(load_prompts(DataConfig(), str(folder / "run/filter/dataset"), "train")) == NUM_PROMPTS
    )
