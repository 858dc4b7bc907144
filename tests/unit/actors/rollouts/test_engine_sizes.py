"""Engines of several sizes in one run: what each reserves, what is checked, and who gets the next group."""

import pytest

from vr1_ray.actors.rollouts.engine import Engine, least_loaded
from vr1_ray.actors.rollouts.engine_health import EngineHealth
from vr1_ray.actors.rollouts.engine_place import EnginePlace, bundle
from vr1_ray.config import (
    ConfigError,
    EngineHealthConfig,
    RolloutConfig,
    RunConfig,
    check_config,
    load_config,
)
from vr1_ray.config.demand import demand

CONFIG = """
kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data, max_prompt_tokens: 96}
curriculum: {stages: [{max_response_tokens: 96, group_size: 4, steps: 2}]}
trainer: {num_workers: 2, num_cpus_per_worker: 0, num_gpus_per_worker: 1}
rollout:
  {num_engines: 3, num_cpus_per_engine: 4, num_gpus_per_engine: 2, tensor_parallel_size: 2,
    tensor_parallel_sizes: [2, 4], resources: {rollout_slot: 1}}
algorithm: {kl_coef: 0}
"""


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return lambda *overrides: load_config(path, list(overrides))


def engine(index: int, size: int) -> Engine:
    place = EnginePlace(group=None, actor=None, starting=None, likely_node="", size=size)
    return Engine(index=index, health=EngineHealth(EngineHealthConfig()), place=place)


def test_sizes_take_turns_and_reserve_in_proportion(load):
    rollout = load().rollout
    assert [rollout.of_engine(index).tensor_parallel_size for index in range(5)] == [2, 4, 2, 4, 2]
    assert bundle(rollout.of_engine(0)) == {"CPU": 4, "GPU": 2, "rollout_slot": 1}
    assert bundle(rollout.of_engine(1)) == {"CPU": 8, "GPU": 4, "rollout_slot": 2}


def test_without_sizes_all_engines_are_alike():
    rollout = RolloutConfig(num_cpus_per_engine=0.25)
    assert [rollout.of_engine(index) for index in range(3)] == [rollout] * 3


def test_what_a_run_reserves_is_the_sum_over_its_engines(load):
    # Trainer 2 GPUs; engines 2 + 4 + 2. CPUs 4 + 8 + 4, and half a one for the reward actor.
    assert demand(load()) == {"CPU": 16.5, "GPU": 10}


def test_an_engine_twice_as_large_takes_twice_the_tokens():
    small, large = engine(0, 1), engine(1, 2)
    assert least_loaded([small, large], {0: 0, 1: 0}) is small
    assert least_loaded([small, large], {0: 100, 1: 0}) is large
    assert least_loaded([small, large], {0: 100, 1: 199}) is large
    assert least_loaded([small, large], {0: 100, 1: 200}) is small


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "rollout.tensor_parallel_sizes=[2,0]",
            r"tensor_parallel_sizes\[1\]: 0 must be at least 1",
        ),
        ("cluster.placement=colocated", r"tensor_parallel_sizes: \[2, 4\]; .* leave it out"),
    ],
)
def test_sizes_that_cannot_be_are_refused(load, override, message):
    with pytest.raises(ConfigError, match=message):
        check_config(load(override))


def test_sound_sizes_pass(load):
    config: RunConfig = load()
    check_config(config)
