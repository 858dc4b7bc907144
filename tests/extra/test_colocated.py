"""Engines in the trainer's seats, taking turns with it: the weights are those of a run with everything apart.

Real Ray and DeepSpeed, `vr1 rl` in a process of its own, and the transformers engine, which sleeps on CPU too.
What needs a GPU of it (vLLM's sleep mode, CUDA IPC): `tests/integration/test_shared_gpu.py`.
"""

from pathlib import Path

import pytest

from tests.faults.live_run import (
    LIMIT,
    ROOT,
    LiveRun,
    actor_of,
    finish,
    kill,
    rows_of,
    vr1,
    weights_of,
)
from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(6 * LIMIT)]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=64, num_validation=8, num_test=8, num_demonstrations=8)
    return folder


def write_config(folder: Path, figures: Path, placement: str) -> Path:
    """Two ranks, two engines and two references, so that both placements deal rows alike."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 4
allow_base_policy: true
model: {{path: {ROOT}/examples/vr1_tiny/model, max_model_len: 160}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 2, zero_stage: 2, num_cpus_per_worker: 0.2, num_threads: 1, max_tokens_per_micro_batch: 1024,
    optimizer: {{lr: 1.0e-3}}}}
rollout: {{engine: hf, num_engines: 2, num_cpus_per_engine: 0.2, num_threads: 1, save: all, verify_weights: true}}
reward_pools: {{default: {{num_cpus_per_actor: 0.1}}}}
reference: {{num_actors: 2, num_cpus_per_actor: 0.1}}
rewards: [{{name: soft_format_result}}]
curriculum:
  stages:
    - {{max_response_tokens: 24, group_size: 4, steps: 3}}
    - {{max_response_tokens: 48, group_size: 2, steps: 3}}
checkpoint: {{every_steps: 1}}
eval: {{data: {figures}, split: validation, max_response_tokens: 32, at_start: true, every_steps: 2, at_end: true}}
cluster:
  {{address: local, num_cpus: 2, placement: {placement}, start_timeout_seconds: {2 * LIMIT},
    step_timeout_seconds: {LIMIT}}}
""")
    return path


@pytest.fixture(scope="module")
def apart(tmp_path_factory, figures):
    folder = tmp_path_factory.mktemp("apart")
    finish(vr1("rl", write_config(folder, figures, "apart")))
    return folder / "run"


def assert_same(expected: Path, found: Path) -> None:
    """Weights bit for bit, and every figure but times and what was lost."""
    weights_a, weights_b = weights_of(expected), weights_of(found)
    assert [name for name in weights_a if not weights_a[name].equal(weights_b[name])] == []
    rows_a, rows_b = rows_of(expected), rows_of(found)
    assert [row["step"] for row in rows_b] == [1, 2, 3, 4, 5, 6]
    for row_a, row_b in zip(rows_a, rows_b, strict=True):
        same = {key for key in row_a if not key.startswith(("time/", "engines/"))}
        same -= {"tokens_per_second"}
        assert {key: row_b[key] for key in same} == {key: row_a[key] for key in same}


def test_taking_turns_on_the_same_places_changes_nothing(apart, figures, tmp_path):
    finish(vr1("rl", write_config(tmp_path, figures, "colocated")))
    assert_same(apart, tmp_path / "run")


def test_an_engine_lost_asleep_and_a_lost_rank_change_nothing_either(apart, figures, tmp_path):
    live = LiveRun(tmp_path, write_config(tmp_path, figures, "colocated"))
    try:
        live.until_step(1)
        driver = live.process.pid
        live.until_busy(actor_of(driver, "ray::TrainerActor", "trainer_0.log"), "train_step")
        # It sleeps: its loss shows at the sync.
        kill(actor_of(driver, "ray::RolloutActor", "rollout_0.log"))
        live.until_said("engine 0 serves again")
        rank = actor_of(driver, "ray::TrainerActor", "trainer_1.log")
        live.until_busy(rank, "train_step")
        kill(rank)
        live.until_said("the trainer is there again")
        live.end()
    finally:
        live.kill()
    assert_same(apart, tmp_path / "run")
