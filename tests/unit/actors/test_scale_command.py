"""What `vr1 scale` refuses, before it reaches a run: the value and the cure are named."""

import io
import os

import pytest

from vr1_ray.actors.control import ScaleCommand, check_command, check_may_have_token
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


OTHER = "192.0.2.7:6379"  # of a network for documentation: nobody's


@pytest.fixture
def control_file(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "control.json").write_text("{}")
    return tmp_path / "control.json"


def test_a_token_goes_to_the_cluster_that_the_config_or_the_user_names(control_file, monkeypatch):
    check_may_have_token(control_file, OTHER, OTHER)
    check_may_have_token(control_file, OTHER, "ray://192.0.2.7:10001")
    monkeypatch.setenv("RAY_ADDRESS", OTHER)
    check_may_have_token(control_file, OTHER, None)


@pytest.mark.parametrize("named", [None, "auto", "local", "192.0.2.7:1", "ray://192.0.2.8:6379"])
def test_a_token_goes_nowhere_else_unasked(control_file, named):
    with pytest.raises(ConfigError, match=r"send your Ray token there with RAY_ADDRESS=192\.0\.2"):
        check_may_have_token(control_file, OTHER, named)


def test_a_user_is_asked_where_somebody_can_answer(control_file, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal("y\nn\n"))
    check_may_have_token(control_file, OTHER, None)
    with pytest.raises(ConfigError, match="its config does not name"):
        check_may_have_token(control_file, OTHER, None)


def test_a_local_run_of_this_user_gets_the_token_and_another_users_file_does_not(control_file):
    check_may_have_token(control_file, "127.0.0.1:6379", None)
    if os.getuid() == 0:
        os.chown(control_file, 65534, 65534)
        with pytest.raises(ConfigError, match="send your Ray token there"):
            check_may_have_token(control_file, "127.0.0.1:6379", None)
