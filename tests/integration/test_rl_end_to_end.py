"""The real actor graph, whole: 2 vLLM engines x 2 DeepSpeed ranks x 2 reward actors, reference and PTST.

The run is `vr1 rl` in a process of its own, as a user starts it. Killed and resumed: tests/extra/test_driver_kill.py.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "vr1_tiny" / "model"
ISSUE_METRICS = [
    "step",
    "stage",
    "max_response_tokens",
    "group_size",
    "reward/mean",
    "accuracy",
    "format_rate",
    "response_tokens/mean",
    "response_tokens/max",
    "truncation_rate",
    "informative_group_rate",
    "kl",
    "clip_fraction",
    "entropy",
    "lr",
    "grad_norm",
    "logprob_diff/max",
    "policy_version",
    "time/generate",
    "time/reward",
    "time/reference",
    "time/train",
    "time/sync",
    "time/step",
    "tokens_per_second",
]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=64, num_validation=8, num_test=8, num_demonstrations=8)
    return folder


def config(folder: Path, figures: Path, **changes: str) -> list[str]:
    """Command line of a run of two PTST stages, two steps each."""
    text = f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 4
allow_base_policy: true
model: {{path: {MODEL}, max_model_len: 160}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 2, zero_stage: 2, num_cpus_per_worker: 0.2, num_threads: 1, max_tokens_per_micro_batch: 1024,
    optimizer: {{lr: 1.0e-3}}}}
rollout: {{num_engines: 2, num_cpus_per_engine: 0.2, num_threads: 1, kv_cache_gib: 0.1, save: all}}
reward_pools: {{default: {{num_actors: 2, num_cpus_per_actor: 0.1}}}}
reference: {{num_actors: 1, num_cpus_per_actor: 0.1}}
rewards: [{{name: soft_format_result}}]
curriculum:
  stages:
    - {{max_response_tokens: 24, group_size: 4, steps: 2}}
    - {{max_response_tokens: 48, group_size: 2, steps: 2}}
checkpoint: {{every_steps: 1}}
cluster: {{address: local, num_cpus: 2, step_timeout_seconds: 300}}
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(text)
    overrides = [f"{key}={value}" for key, value in changes.items()]
    return [sys.executable, "-m", "vr1_ray.cli", "rl", str(folder / "run.yaml"), *overrides]


def run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def metrics_of(folder: Path) -> list[dict]:
    return [
        json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()
    ]


def weights_of(folder: Path) -> dict:
    return load_file(folder / "run" / "policy" / "model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, figures):
    """A ZeRO-2 run from start to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(config(folder, figures))
    return folder


def test_every_step_reports_every_documented_metric(undisturbed):
    rows = metrics_of(undisturbed)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert set(ISSUE_METRICS) <= set(row)


def test_the_stage_changes_cap_and_group_size_inside_one_run(undisturbed):
    rows = metrics_of(undisturbed)
    assert [(row["stage"], row["max_response_tokens"], row["group_size"]) for row in rows] == [
        (1, 24, 4),
        (1, 24, 4),
        (2, 48, 2),
        (2, 48, 2),
    ]
    assert all(row["response_tokens/max"] <= row["max_response_tokens"] for row in rows)


def test_each_stage_begins_with_what_the_policy_sees_of_its_pictures(undisturbed):
    rows = metrics_of(undisturbed)
    found = [{name for name in row if name.startswith("blindness/")} for row in rows]
    assert found[0] == found[2] != set()
    assert found[1] == found[3] == set()
    assert rows[0]["blindness/questions"] == 8
    assert rows[0]["blindness/looks_rate"] >= 0.5  # vr1-tiny sees
    assert rows[0]["blindness/logprob"] > rows[0]["blindness/logprob_grey"]
    assert rows[0]["time/blindness"] < rows[0]["time/step"]


def test_engines_sample_with_the_newest_weights_and_agree_with_the_trainer(undisturbed):
    rows = metrics_of(undisturbed)
    assert [row["policy_version"] for row in rows] == [0, 1, 2, 3]
    assert max(row["logprob_diff/max"] for row in rows) < 1e-3


def test_training_changed_the_policy_and_it_loads_in_plain_transformers(undisturbed):
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    after = weights_of(undisturbed)
    before = load_file(MODEL / "model.safetensors")
    assert set(after) == set(before)
    assert any(not after[name].equal(before[name]) for name in after)
    folder = undisturbed / "run" / "policy"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)
    assert model.lm_head.weight.equal(after["lm_head.weight"])
    AutoProcessor.from_pretrained(folder)
