"""Whatever of trainer, reference, controller and driver is killed, the weights are those of an undisturbed run.

One run goes through all losses, one after the other; then it is replayed, and goes on with other numbers of
trainer ranks and engines. Everything is real: `vr1 rl` in a process of its own, SIGKILL and SIGSTOP to its actors, a
limit of the kernel on what a rank can write.
"""

import json
import re
import resource
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.live_run import (
    LIMIT,
    ROOT,
    LiveRun,
    actor_of,
    below,
    finish,
    kill,
    rows_of,
    vr1,
    weights_of,
)
from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(6 * LIMIT)]

NOT_EXACT = (
    "time/",
    "tokens_per_second",
    # Log-probabilities of the engine depend in their last bits on which requests share a batch.
    "logprob_diff/",
)


SECRETS = {
    "WANDB_API_KEY": "wandb-0123456789abcdef",
    "OPENAI_API_KEY": "openai-0123456789abcdef",
    "HF_TOKEN": "hf-0123456789abcdef",
}


def write_config(folder: Path, figures: Path) -> None:
    """A run of two PTST stages, four steps each, with everything in it that can be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 4
allow_base_policy: true
model: {{path: {ROOT}/examples/vr1_tiny/model, max_model_len: 160}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 2, zero_stage: 2, num_cpus_per_worker: 0.2, num_threads: 1, max_tokens_per_micro_batch: 1024,
    collective_timeout_seconds: {LIMIT / 10}, optimizer: {{lr: 1.0e-3}}}}
rollout: {{num_cpus_per_engine: 0.2, num_threads: 1, kv_cache_gib: 0.1, save: all}}
reward_pools: {{default: {{num_cpus_per_actor: 0.1}}}}
reference: {{num_cpus_per_actor: 0.1}}
rewards: [{{name: soft_format_result}}]
curriculum:
  stages:
    - {{max_response_tokens: 24, group_size: 4, steps: 4}}
    - {{max_response_tokens: 48, group_size: 2, steps: 4}}
checkpoint: {{every_steps: 2, keep_last: 9}}
cluster:
  {{address: local, num_cpus: 2, start_timeout_seconds: {2 * LIMIT}, step_timeout_seconds: {LIMIT}}}
""")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=64, num_validation=8, num_test=8, num_demonstrations=8)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, figures):
    folder = tmp_path_factory.mktemp("undisturbed")
    write_config(folder, figures)
    finish(vr1("rl", folder / "run.yaml"))
    return folder / "run"


def disturb(live: LiveRun) -> None:
    """Every loss once. Checkpoints are of steps 2, 4, 6, 8; losses of the trainer go back to the last one."""
    live.until_step(1)
    kill(trainer(live, 1))  # no checkpoint yet: from the start
    live.until_said("after step 0")

    live.until_step(3)
    rank = trainer(live, 0)
    live.until_busy(rank, "train_step")
    kill(rank)
    live.until_said("after step 2")

    live.until_step(4)
    [reference] = below(live.process.pid, "ray::ReferenceActor")
    live.until_busy(reference, "compute_logprobs")
    kill(reference)
    live.until_said("reference 0 was lost and started again")
    [curriculum] = below(live.process.pid, "ray::CurriculumActor")
    kill(curriculum)
    live.until_said("curriculum was lost and started again")

    rank = trainer(live, 1)
    before = resource.prlimit(rank.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    live.until_said("the checkpoint of step 6 could not be saved")
    resource.prlimit(rank.pid, resource.RLIMIT_FSIZE, before)

    rank.send_signal(signal.SIGSTOP)  # it hangs: another rank waits for it, or the driver
    live.until_said("after step 4")

    live.until_step(7)
    live.kill()


def trainer(live: LiveRun, rank: int) -> psutil.Process:
    return actor_of(live.process.pid, "ray::TrainerActor", f"trainer_{rank}.log")


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory, figures):
    """(run folder, what was printed until the driver was killed, what after that)."""
    folder = tmp_path_factory.mktemp("disturbed")
    write_config(folder, figures)
    live = LiveRun(folder, folder / "run.yaml", environment=SECRETS)
    try:
        disturb(live)
    finally:
        live.kill()
    assert not (folder / "run" / "result.json").exists()
    time.sleep(2)  # Ray's processes see that their driver is gone
    return folder / "run", live.text(), finish(vr1("rl", folder / "run.yaml"))


def test_the_weights_are_bit_for_bit_those_of_an_undisturbed_run(undisturbed, disturbed):
    expected, found = weights_of(undisturbed), weights_of(disturbed[0])
    assert [name for name in expected if not expected[name].equal(found[name])] == []


def test_every_step_has_one_row_and_it_is_the_undisturbed_one(undisturbed, disturbed):
    expected, found = rows_of(undisturbed), rows_of(disturbed[0])
    assert [row["step"] for row in found] == list(range(1, 9))
    for row_a, row_b in zip(expected, found, strict=True):
        exact = {key for key in row_a if not key.startswith(NOT_EXACT)}
        assert {key: row_b[key] for key in exact} == {key: row_a[key] for key in exact}
    assert len({row["policy_hash"] for row in found}) == 8


def test_every_prompt_of_every_step_was_trained_once_in_full_groups(undisturbed, disturbed):
    for step in range(1, 9):
        saved = [
            [json.loads(line) for line in (folder / "rollouts" / f"step_{step:06d}.jsonl").open()]
            for folder in (undisturbed, disturbed[0])
        ]
        ids = [[group["prompt"]["prompt_id"] for group in groups] for groups in saved]
        assert ids[0] == ids[1]
        assert len(set(ids[1])) == 4
        assert {len(group["rollouts"]) for group in saved[1]} == {4 if step <= 4 else 2}
        assert {group["policy_version"] for group in saved[1]} == {step - 1}


def test_each_loss_is_told_with_actor_phase_and_step(disturbed):
    before, after = disturbed[1:]
    assert "LOST: trainer 1 died, while " in before
    assert "LOST: trainer 0 died, while training in step 4" in before
    assert "LOST: trainer 1 did not answer in time, while " in before
    assert before.count("all trainer ranks are replaced") == 3
    assert "rank 1: " in before  # which could not write
    assert "reference 0 was lost and started again, while computing reference log-pr" in before
    assert "going on from" in after


def test_no_secret_of_the_environment_is_in_the_run_folder_or_the_output(disturbed):
    folder, before, _ = disturbed
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [name for name, value in SECRETS.items() if value.encode() in content], path
    assert not [name for name, value in SECRETS.items() if value in before]


def test_a_step_is_replayed_bit_for_bit_from_what_was_saved(disturbed):
    printed = finish(vr1("replay", disturbed[0], "--step", "8"))
    assert re.search(r"policy: \d+ weights identical to step_000008", printed)
    assert "policy: hash identical to metrics.jsonl" in printed
    assert "advantages of 8 rollouts identical" in printed
    assert "\nIDENTICAL: the update of step 8" in printed


def test_a_replay_of_changed_rollouts_is_found_out(disturbed):
    path = disturbed[0] / "rollouts" / "step_000007.jsonl"
    original = path.read_text()
    groups = [json.loads(line) for line in original.splitlines()]
    for rollout in groups[0]["rollouts"]:
        rollout["response_ids"] = rollout["response_ids"][::-1]
    path.write_text("".join(json.dumps(group) + "\n" for group in groups))
    printed = finish(vr1("replay", disturbed[0], "--step", "7"), code=1)
    path.write_text(original)
    assert "DIFFERENT policy: hash" in printed
    assert "\nNOT IDENTICAL: the update of step 7" in printed


def test_the_run_goes_on_with_other_numbers_of_ranks_and_engines(disturbed):
    folder = disturbed[0]
    stages = (
        "curriculum.stages=[{max_response_tokens: 24, group_size: 4, steps: 4},"
        "{max_response_tokens: 48, group_size: 2, steps: 6}]"
    )
    changes = [stages, "trainer.num_workers=1", "rollout.num_engines=2"]
    printed = finish(vr1("rl", folder.parent / "run.yaml", *changes))
    assert "going on from" in printed
    assert [row["step"] for row in rows_of(folder)] == list(range(1, 11))
    last = rows_of(folder)[-1]
    assert last["logprob_diff/max"] < 1e-3  # engines got the weights that the one rank has
    assert last["policy_version"] == 9
    result = json.loads((folder / "result.json").read_text())
    assert result["checkpoint"].endswith("step_000010")
