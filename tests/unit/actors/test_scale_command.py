"""What `vr1 scale` refuses, before it reaches a run: the value and the cure are named."""

import pytest

from vr1_ray.actors.control import ScaleCommand, check_command
from vr1_ray.config import (
    ConfigError,
    EngineHealthConfig,
    RewardPoolConfig,
    RewardSpec,
    RolloutConfig,
    RunConfig,
)


def config(**rollout):
    return RunConfig(
        kind="rl",
        rollout=RolloutConfig(**rollout),
        rewards=[RewardSpec(name="hard_format"), RewardSpec(name="llm_judge", pool="judge")],
        reward_pools={
            "default": RewardPoolConfig(),
            "judge": RewardPoolConfig(num_actors=2, min_actors=2, max_actors=4),
            "unused": RewardPoolConfig(),
        },
    )


def refusal(command, **rollout):
    with pytest.raises(ConfigError) as error:
        check_command(command, config(**rollout))
    return str(error.value)


def test_sizes_a_run_can_have_pass():
    check_command(ScaleCommand(engines=7), config())
    check_command(ScaleCommand(engines=4, rewards=9), config(min_engines=1, max_engines=4))
    check_command(ScaleCommand(rewards=4, pool="judge"), config())


def test_fewer_engines_than_must_serve_are_refused():
    assert "--engines 0: the run needs 1" in refusal(ScaleCommand(engines=0))
    health = EngineHealthConfig(min_healthy=3)
    assert "--engines 2: the run needs 3" in refusal(ScaleCommand(engines=2), health=health)


def test_engines_stay_within_the_bounds_of_autoscaling():
    bounds = {"min_engines": 2, "max_engines": 4}
    assert "--engines 1: the run needs 2" in refusal(ScaleCommand(engines=1), **bounds)
    assert "rollout.max_engines 4" in refusal(ScaleCommand(engines=5), **bounds)


def test_a_reward_pool_must_be_one_of_the_run_and_stay_within_its_bounds():
    found = refusal(ScaleCommand(rewards=2, pool="unused"))
    assert found == "--pool unused: the run's reward pools are default, judge"
    assert "--rewards 0: pool default has 1 actors at least" in refusal(ScaleCommand(rewards=0))
    found = refusal(ScaleCommand(rewards=5, pool="judge"))
    assert found == "--rewards 5: pool judge has 2 actors at least and 4 at most"


def test_a_command_without_a_number_is_refused():
    assert "give --engines N" in refusal(ScaleCommand())
