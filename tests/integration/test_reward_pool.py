"""Real reward actors on a real Ray: calls that hang, raise and kill their process; scaling; two pools.

Groups come from the transformers engine behind a real rollout actor where samples are drawn again, and
are written by hand where only scoring is tested.
"""

import re

import pytest
import ray

from tests.builders import prompt
from tests.integration.reward_pools import STAGE, group, make_config, make_pool, score_all, stop
from vr1_ray.actors.rewards.reward_actor import InvalidReward
from vr1_ray.actors.rollouts.engine_place import launcher
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.invalid_rollouts import (
    REWARD_LOG,
    InvalidRollouts,
    InvalidRolloutsError,
)
from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.config import (
    InvalidRolloutsConfig,
    RewardPoolConfig,
    RewardSpec,
)
from vr1_ray.types import SamplingSpec

pytestmark = pytest.mark.ray
FAILS = "tests.integration.failing_rewards:Fails"


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(
        address="local",
        num_cpus=4,
        resources={"judge": 2},
        labels={"role": "rewards"},
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


def test_a_reward_that_hangs_raises_or_exits_costs_only_the_samples_it_failed_on(tmp_path):
    options = {"hang": ["p1/2/0"], "raises": ["p3/0/0", "p3/1/0"], "exits": ["p5/3/0"]}
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options=options)],
        default=RewardPoolConfig(num_actors=3, timeout_seconds=2.0),
    )
    notes = []
    pool = make_pool(config, note=notes.append)
    found = score_all(pool, [group(seed) for seed in range(8)])

    invalid = {
        f"{name}/{place}": outcome.reason
        for name, outcomes in found.items()
        for place, outcome in outcomes.items()
        if isinstance(outcome, InvalidReward)
    }
    valid = [
        (name, place, outcome.value, outcome.parts[f"{FAILS}/index"])
        for name, outcomes in found.items()
        for place, outcome in outcomes.items()
        if not isinstance(outcome, InvalidReward)
    ]
    assert sorted(invalid) == ["p1/2", "p3/0", "p3/1", "p5/3"]
    assert sorted(valid) == sorted(
        (f"p{seed}", place, 1.0, float(place))
        for seed in range(8)
        for place in range(4)
        if f"p{seed}/{place}" not in invalid
    )
    assert (
        "no answer within 2 s, the limit of reward_pools.default.timeout_seconds" in invalid["p1/2"]
    )
    assert "died" in invalid["p5/3"]
    assert "no such column for p3/0/0" in invalid["p3/0"].splitlines()[0]
    assert "failing_rewards.py" in invalid["p3/0"].splitlines()[0]
    assert pool.num_restarts == 4  # two hangs and two exits: with the group, then alone
    assert len(pool.slots) == 3
    stop(pool)


def test_a_reward_that_dies_once_is_asked_again_and_no_sample_is_invalid(tmp_path):
    name = "tests.integration.failing_rewards:FailsOnce"
    config = make_config(
        tmp_path,
        [RewardSpec(name=name, options={"file": str(tmp_path / "died")})],
        default=RewardPoolConfig(),
    )
    pool = make_pool(config)
    found = score_all(pool, [group(0), group(1)])
    values = [outcome.value for outcomes in found.values() for outcome in outcomes.values()]
    assert values == [0.5] * 8
    assert pool.num_restarts == 1
    stop(pool)


def test_a_pool_grows_with_its_queue_and_each_decision_has_its_reason(tmp_path):
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options={"seconds": 0.05})],
        default=RewardPoolConfig(min_actors=1, max_actors=3),
    )
    notes = []
    pool = make_pool(config, note=notes.append)
    assert len(pool.slots) == 1
    found = score_all(pool, [group(seed) for seed in range(14)])
    assert len(found) == 14
    assert len(pool.slots) == 3
    assert notes[0] == "reward pool default: 1 -> 2 actors: 5 calls wait for 1 actors"
    pool.resize(1)
    assert len(pool.slots) == 1
    stop(pool)


def test_an_actor_that_cannot_start_ends_in_an_error_that_says_why(tmp_path):
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options={"no_such_option": 1})],
        default=RewardPoolConfig(),
    )
    pool = make_pool(config)
    with pytest.raises(RuntimeError, match="no_such_option"):
        score_all(pool, [group(0)])
    stop(pool)


def run_step(config, invalid=None, note=print):
    """One step of three prompts through a real rollout actor; its groups and metrics."""
    limits = invalid or InvalidRolloutsConfig(max_rate=0.5, max_error_rate=0.5)
    engines = EngineSet(
        launcher(config, None),
        limits=config.rollout.health,
        number=1,
        start_seconds=120,
        call_seconds=120,
        note=print,
    )
    pools = [make_pool(config, name) for name in config.reward_pools]
    try:
        engines.wait_until_started()
        pool = RolloutPool(
            engines,
            pools,
            max_concurrent_responses=64,
            timeout_seconds=120,
            invalid=InvalidRollouts(limits, note=note, log=config.folder / REWARD_LOG),
        )
        spec = SamplingSpec(max_response_tokens=4, group_size=4)
        pool.submit([prompt(0), prompt(1), prompt(2)], spec, STAGE, 1)
        return pool.collect(1), pool.last_metrics
    finally:
        engines.close(seconds=0)
        for one in pools:
            stop(one)


def test_an_invalid_sample_is_drawn_again_and_a_hopeless_group_is_dropped_and_counted(tmp_path):
    hopeless = [f"p2/3/{attempt}" for attempt in range(3)]
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options={"raises": ["p0/1/0", *hopeless]})],
        default=RewardPoolConfig(num_actors=2),
    )
    notes = []
    groups, metrics = run_step(config, note=notes.append)
    assert [g.prompt.prompt_id for g in groups] == ["p0", "p1"]
    assert [(r.index, r.attempt) for r in groups[0].rollouts] == [(0, 0), (1, 1), (2, 0), (3, 0)]
    assert len({r.seed for r in groups[0].rollouts}) == 4
    assert all(r.reward == 1.0 for g in groups for r in g.rollouts)
    assert metrics["invalid/rollouts"] == 4.0  # p0/1 once, p2/3 three times
    assert metrics["invalid/resampled"] == 3.0  # p0/1 once, p2/3 twice
    assert metrics["invalid/groups_dropped"] == 1.0
    assert metrics["invalid/raised"] == 4.0
    [told] = notes  # once for one line of one file, not four times
    assert re.search(r"ALARM step 1: reward .* failed at .*failing_rewards.py, line \d+ ", told)
    assert "raise KeyError" in (config.folder / REWARD_LOG).read_text()


def test_too_many_invalid_rollouts_stop_the_run_and_name_reward_prompt_and_cause(tmp_path):
    every = [f"p{seed}/{index}/0" for seed in range(3) for index in range(4)]
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options={"raises": every})],
        default=RewardPoolConfig(),
    )
    with pytest.raises(InvalidRolloutsError) as error:
        run_step(config, InvalidRolloutsConfig(max_rate=0.1, max_error_rate=1.0))
    message = str(error.value)
    first_line = message.splitlines()[0]
    assert first_line.startswith(f"reward '{FAILS}' failed at ")
    assert re.search(
        r"on prompt (p\d) \(1 rollout\): KeyError: 'no such column for \1/\d/0'$", first_line
    )
    assert "failing_rewards.py" in message
    assert "2 of 12 rollouts have no reward" in message


def test_a_reward_that_raises_for_more_than_a_small_share_ends_the_run_with_one_message(tmp_path):
    config = make_config(
        tmp_path,
        [RewardSpec(name=FAILS, options={"raises": ["p0/1/0", "p1/2/0"]})],
        default=RewardPoolConfig(),
    )
    with pytest.raises(InvalidRolloutsError) as error:
        run_step(config, InvalidRolloutsConfig())
    first, *rest = str(error.value).splitlines()
    assert first.startswith(f"reward '{FAILS}' failed at ")
    [told] = rest
    assert "raised for 2 of 12 rollouts, more than invalid_rollouts.max_error_rate 0.05" in told
    assert str(config.folder / REWARD_LOG) in told


def test_rewards_in_two_pools_are_added_up_with_their_weights(tmp_path):
    config = make_config(
        tmp_path,
        [
            RewardSpec(name=FAILS, weight=1.0),
            RewardSpec(name="hard_format", weight=2.0, pool="checks"),
            RewardSpec(name="soft_format_result", weight=0.25, pool="checks"),
        ],
        default=RewardPoolConfig(),
        checks=RewardPoolConfig(num_actors=2),
    )
    groups, metrics = run_step(config)
    rollouts = [rollout for one in groups for rollout in one.rollouts]
    assert len(rollouts) == 12
    for rollout in rollouts:
        parts = rollout.reward_parts
        assert rollout.reward == pytest.approx(
            parts[FAILS] + 2.0 * parts["hard_format"] + 0.25 * parts["soft_format_result"]
        )
        assert parts[FAILS] == 1.0
    assert metrics["time/reward_exposed"] >= 0.0


def test_actors_start_only_where_their_labels_and_resources_are(tmp_path):
    placed = {
        "here": RewardPoolConfig(label_selector={"role": "rewards"}, resources={"judge": 1}),
        "elsewhere": RewardPoolConfig(label_selector={"role": "trainer"}),
        "too_many": RewardPoolConfig(resources={"judge": 3}),
    }
    rewards = [RewardSpec(name="hard_format", pool=name) for name in placed]
    pools = {name: make_pool(make_config(tmp_path, rewards, **placed), name) for name in placed}
    calls = {name: pool.pending[0] for name, pool in pools.items()}
    ready, _ = ray.wait(list(calls.values()), num_returns=3, timeout=25.0)
    assert [name for name, call in calls.items() if call in ready] == ["here"]
    for pool in pools.values():
        stop(pool)
