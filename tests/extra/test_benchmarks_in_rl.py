"""Benchmarks during RL on a real vLLM engine: asked after each step, told in its row, and the best checkpoint kept by one.

Each run is `vr1 rl` in a process of its own, as a user starts it, so that a scheduler's SIGTERM can end it.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
NAMES = ("mathvista", "mathverse/vision_only")
STEPS = ("step_000001", "step_000002")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=16, num_validation=8, num_test=8, num_demonstrations=8)
    return folder


def command(folder: Path, figures: Path) -> list[str]:
    """Command line of a run of two steps, with two benchmarks after each."""
    text = f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 2
allow_base_policy: true
benchmarks: [mathvista, mathverse/vision_only]
model: {{path: {ROOT / "examples/vr1_tiny/model"}, max_model_len: 512}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 1, num_cpus_per_worker: 0.2, num_threads: 1, max_tokens_per_micro_batch: 1024,
    optimizer: {{lr: 1.0e-3}}}}
rollout: {{num_engines: 1, num_cpus_per_engine: 0.2, num_threads: 1, kv_cache_gib: 0.25}}
reward_pools: {{default: {{num_actors: 1, num_cpus_per_actor: 0.1}}}}
algorithm: {{kl_coef: 0.0}}
rewards: [{{name: soft_format_result}}]
curriculum: {{stages: [{{max_response_tokens: 16, group_size: 4, steps: 2}}]}}
eval:
  {{every_steps: 1, best_by: mathvista, max_questions: 4, max_response_tokens: 8,
    benchmarks_folder: {ROOT / "examples/evaluation/fixtures"}}}
checkpoint: {{keep_last: 1}}
cluster: {{address: local, num_cpus: 2, step_timeout_seconds: 300}}
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(text)
    return [sys.executable, "-m", "vr1_ray.cli", "rl", str(folder / "run.yaml")]


def run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def evaluated(folder: Path) -> list[dict[str, float]]:
    """Per step, the figures of benchmarks in its row."""
    rows = lines_of(folder / "run" / "metrics.jsonl")
    return [
        {key: value for key, value in row.items() if key.startswith(("benchmark/", "evaluation/"))}
        for row in rows
    ]


def answers(folder: Path, label: str) -> list[tuple]:
    """What was asked and answered in an evaluation, in the order of the questions."""
    rows = []
    for slug in ("mathvista", "mathverse_vision_only"):
        rows += lines_of(folder / "run" / "benchmarks" / label / f"{slug}.jsonl")
    return [(row["question_id"], row["response"], row["is_correct"]) for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, figures):
    folder = tmp_path_factory.mktemp("undisturbed")
    printed = run(command(folder, figures))
    for label in STEPS:
        assert f"evaluation of {label}: mathvista " in printed
    return folder


def test_each_step_is_evaluated_and_its_row_has_the_figures(undisturbed):
    found = evaluated(undisturbed)
    assert len(found) == 2
    for label, figures in zip(STEPS, found, strict=True):
        folder = undisturbed / "run" / "benchmarks" / label
        results = json.loads((folder / "scores.json").read_text())["results"]
        assert [result["num_questions"] for result in results] == [4, 4]
        for name, result in zip(NAMES, results, strict=True):
            assert figures[f"benchmark/{name}"] == result["scores"][result["headline"]]["value"]
        headlines = [figures[f"benchmark/{name}"] for name in NAMES]
        assert figures["evaluation/accuracy"] == pytest.approx(sum(headlines) / 2)
        assert f"run, {label}: greedy" in (folder / "table.txt").read_text()
        assert (folder / "mathvista.html").is_file()
        assert len(answers(undisturbed, label)) == 8


def test_the_best_checkpoint_is_that_of_the_benchmarks_figure(undisturbed):
    figures = [row["benchmark/mathvista"] for row in evaluated(undisturbed)]
    best = figures.index(max(figures)) + 1  # of equal ones the earliest
    result = json.loads((undisturbed / "run" / "result.json").read_text())
    folder = undisturbed / "run" / "checkpoints"
    assert result["best"] == {
        "step": best,
        "mathvista": figures[best - 1],
        "checkpoint": str(folder / f"step_{best:06d}"),
    }
    assert {path.name for path in folder.iterdir()} == {f"step_{best:06d}", "step_000002"}


def test_a_run_stopped_while_it_evaluates_makes_the_evaluation_when_it_is_resumed(
    undisturbed, figures, tmp_path
):
    driver = subprocess.Popen(
        command(tmp_path, figures),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The row of step 1 is written first, then this; its responses are still to come.
    begun = tmp_path / "run" / "benchmarks" / "step_000001" / "settings.json"
    deadline = time.monotonic() + 400
    while not begun.is_file():
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "no evaluation began in 400 s"
        time.sleep(0.005)
    driver.send_signal(signal.SIGTERM)
    printed, errors = driver.communicate(timeout=200)
    assert driver.returncode == 143, printed[-3000:] + errors[-3000:]
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step_000001"]
    assert evaluated(tmp_path) == [{}]  # neither figures nor a second step

    printed = run(command(tmp_path, figures))
    assert "evaluation of step_000001" in printed
    assert evaluated(tmp_path) == evaluated(undisturbed)
    for label in STEPS:
        assert answers(tmp_path, label) == answers(undisturbed, label)
