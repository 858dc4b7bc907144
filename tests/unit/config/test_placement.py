"""What a colocated run asks of the other settings: each refusal names field, value and cure."""

import pytest

from vr1_ray.actors.control import ScaleCommand, check_command
from vr1_ray.config import ConfigError, check_config, load_config

COLOCATED = """
kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data, max_prompt_tokens: 96}
curriculum: {stages: [{max_response_tokens: 96, group_size: 4, steps: 2}]}
cluster: {placement: colocated}
trainer: {num_workers: 8, num_gpus_per_worker: 1, zero_stage: 2}
rollout: {num_engines: 4, tensor_parallel_size: 2, num_gpus_per_engine: 2, weight_transport: ipc}
reference: {num_actors: 8, num_gpus_per_actor: 1}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(COLOCATED)
    return lambda *overrides: load_config(path, list(overrides))


def test_engines_that_fill_the_trainers_gpus_pass(config):
    check_config(config())
    check_config(config("rollout.weight_transport=object_store", "trainer.zero_stage=3"))
    check_config(config("reference.num_actors=1", "algorithm.kl_coef=0"))


def test_without_gpus_the_transformers_engine_takes_turns_too(config):
    no_gpus = [
        "trainer.num_gpus_per_worker=0",
        "rollout.num_gpus_per_engine=0",
        "reference.num_gpus_per_actor=0",
        "rollout.weight_transport=object_store",
    ]
    check_config(config("rollout.engine=hf", *no_gpus))
    with pytest.raises(ConfigError, match=r"^cluster\.placement: .*vLLM gives no memory back"):
        check_config(config(*no_gpus))


@pytest.mark.parametrize(
    ("override", "field", "cure"),
    [
        ("rollout.num_engines=3", "rollout.num_engines: 3", "set it to 4"),
        ("trainer.num_workers=9", "rollout.tensor_parallel_size: 2", "use a divisor"),
        ("rollout.max_engines=8", "rollout.max_engines: 8", "set both to 0"),
        ("rollout.num_gpus_per_engine=1", "rollout.num_gpus_per_engine: 1", "set it to 2"),
        ("trainer.num_gpus_per_worker=0.5", "trainer.num_gpus_per_worker: 0.5", "set it to 1"),
        ("reference.num_actors=1", "reference.num_actors: 1", "set it to 8"),
        ("reference.num_gpus_per_actor=0", "reference.num_gpus_per_actor: 0", "set it to 1"),
        ("rollout.label_selector={role: rollout}", "rollout.label_selector:", "for the trainer"),
        ("rollout.resources={host: 1}", "rollout.label_selector:", "for the trainer"),
        ("trainer.zero_stage=3", "rollout.weight_transport: ipc", "trainer.zero_stage=2"),
        ("rollout.engine=hf", "rollout.weight_transport: ipc", "rollout.engine=vllm"),
        (
            "curriculum.stages=[{max_response_tokens: 9, group_size: 2, steps: 1, num_engines: 2}]",
            "curriculum.stages[0].num_engines: 2",
            "leave it out",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_cure(config, override, field, cure):
    with pytest.raises(ConfigError) as raised:
        check_config(config(override))
    assert any(
        line.startswith(field) and cure in line for line in str(raised.value).splitlines()
    ), raised.value


def test_ipc_apart_is_refused_because_no_gpu_is_shared(config):
    with pytest.raises(ConfigError, match=r"weight_transport: ipc .*cluster\.placement=colocated"):
        check_config(config("cluster.placement=apart"))


APART = ["cluster.placement=apart", "rollout.weight_transport=nccl"]
NO_GPUS = ["trainer.num_gpus_per_worker=0", "rollout.num_gpus_per_engine=0"]


def test_a_broadcast_goes_between_whole_gpus_over_nccl_or_without_any_over_gloo(config):
    check_config(config(*APART))
    check_config(config(*APART, "trainer.zero_stage=3"))
    check_config(config(*APART, *NO_GPUS, "rollout.weight_transport=gloo"))
    check_config(config(*APART, *NO_GPUS, "rollout.weight_transport=gloo", "rollout.engine=hf"))


@pytest.mark.parametrize(
    ("overrides", "field", "cure"),
    [
        (["rollout.weight_transport=nccl"], "nccl needs a device", "cluster.placement=apart"),
        ([*APART, *NO_GPUS], "nccl is between whole GPUs", "gloo without GPUs"),
        ([*APART, "rollout.num_gpus_per_engine=1"], "nccl is between whole GPUs", "give each"),
        ([*APART, "trainer.num_gpus_per_worker=0.5"], "nccl is between whole GPUs", "give each"),
        ([*APART, "rollout.weight_transport=gloo"], "gloo is for engines", "set nccl"),
    ],
)
def test_a_broadcast_between_other_devices_is_refused_with_its_cure(config, overrides, field, cure):
    with pytest.raises(ConfigError) as raised:
        check_config(config(*overrides))
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"rollout.weight_transport: {field}")
    assert cure in line


def test_a_colocated_run_is_never_scaled_by_hand(config):
    with pytest.raises(ConfigError, match=r"--engines 2: .*cluster\.placement=apart"):
        check_command(ScaleCommand(engines=2), config())
    check_command(ScaleCommand(rewards=2), config())


def test_kinds_without_turns_take_no_notice_of_the_placement(config):
    assert config().is_colocated
    assert not config("kind=eval").is_colocated
    assert not config("cluster.placement=apart").is_colocated
