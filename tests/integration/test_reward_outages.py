"""Reward pools that have no room, actors that can't start, and services that are down, on a real Ray."""

import os
import re
import time

import pytest
import ray

from tests.integration.reward_pools import group, make_config, make_pool, score_all, stop, submit
from vr1_ray.actors.rewards.reward_actor import InvalidReward, ScoredCall
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.config import RewardPoolConfig, RewardSpec
from vr1_ray.types import RewardOutput

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(
        address="local",
        num_cpus=4,
        resources={"judge": 2},
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


class Light:
    """A reward actor that starts in a moment; `breaks` is how: not at all, at its start, or at its first call."""

    def __init__(self, breaks="", file=None):
        self.breaks, self.file = breaks, file
        if breaks == "start":
            while not file.exists():  # until another has died at its call
                time.sleep(0.1)
            time.sleep(8.0)
            os._exit(1)

    def ready(self):
        return True

    def score(self, group, prompt, places):
        if self.breaks == "call" and not self.file.exists():
            self.file.touch()
            os._exit(1)
        outcomes = [RewardOutput(value=float(place)) for place in places]
        return ScoredCall(outcomes=outcomes, seconds=0.0)


def light_pool(launch, *, note=print, start=240.0, **config):
    return RewardPool(
        "default", RewardPoolConfig(**config), launch, start_timeout_seconds=start, note=note
    )


def until(pool, is_true, limit=240.0):
    """Let the pool react to what happens until something is true."""
    deadline = time.monotonic() + limit
    while not is_true():
        assert time.monotonic() < deadline
        ready = ray.wait(pool.pending, timeout=0.2)[0] if pool.pending else []
        found = [*(s for ref in ready for s in pool.take(ref)), *pool.expire()]
        assert not found


def test_a_retry_that_waited_for_another_actor_goes_to_the_one_left_when_that_can_not_start(
    tmp_path,
):
    """Actor 0 dies at its call and starts again; actor 1 is at its start, and fails there."""
    file = tmp_path / "died"

    def launch(index):
        breaks = "call" if index == 0 else "start"
        return ray.remote(Light).options(num_cpus=0).remote(breaks, file)

    notes = []
    pool = light_pool(launch, num_actors=2, note=notes.append)
    # The retry is there while actor 0 is idle again and actor 1 still starts.
    until(pool, lambda: pool.slots[0].is_ready)
    found = score_all(pool, [group(0)])
    assert {place: one.value for place, one in found["p0"].items()} == {
        0: 0.0,
        1: 1.0,
        2: 2.0,
        3: 3.0,
    }
    until(pool, lambda: len(pool.slots) == 1)
    assert any("default/1 could not be started" in note for note in notes)
    stop(pool)


def test_actors_beyond_the_clusters_room_wait_for_it_and_the_run_goes_on(tmp_path):
    """Five that need a judge each, where there are two: the others wait longer than a start may take."""
    notes = []
    remote = ray.remote(Light).options(num_cpus=0, resources={"judge": 1})
    pool = light_pool(
        lambda index: remote.remote(),
        num_actors=5,
        note=notes.append,
        start=20.0,
        resources={"judge": 1},
    )
    began = time.monotonic()
    until(pool, lambda: time.monotonic() - began > 25.0)
    assert len(pool.slots) == 5
    assert sum(slot.has_room or slot.is_ready for slot in pool.slots) == 2
    assert pool.start_failures == 0
    assert sorted(notes) == [
        f"reward actor default/{n} waits for room (0.5 CPU, 1 judge)" for n in (2, 3, 4)
    ]
    assert len(score_all(pool, [group(seed) for seed in range(3)])) == 3
    pool.scale(2)  # those that wait are given up before those that work
    assert [slot.index for slot in pool.slots] == [0, 1]
    pool.scale(3)
    ray.kill(pool.slots.pop(0).actor)
    until(pool, lambda: all(slot.is_ready for slot in pool.slots))  # its room is taken
    stop(pool)


def down_pool(tmp_path, notes, never=(), **pool):
    name = "tests.integration.failing_rewards:IsDown"
    file = tmp_path / "down"
    options = {"file": str(file), "never": list(never)}
    config = make_config(
        tmp_path, [RewardSpec(name=name, options=options)], default=RewardPoolConfig(**pool)
    )
    return file, make_pool(config, note=notes.append)


def test_a_service_that_is_down_is_waited_for_and_costs_no_sample(tmp_path):
    notes = []
    file, pool = down_pool(tmp_path, notes, num_actors=2)
    file.touch()
    submit(pool, [group(seed) for seed in range(3)])
    began = time.monotonic()
    until(pool, lambda: notes and time.monotonic() - began > 8.0)
    [told] = notes
    assert told.startswith("ALARM reward pool default: reward ")
    assert told.endswith(
        "no connection; it is waited for, up to 900 s (reward_pools.default.outage_seconds)"
    )
    file.unlink()
    found, deadline = {}, time.monotonic() + 240
    while len(found) < 3:
        assert time.monotonic() < deadline
        ready = ray.wait(pool.pending, timeout=0.2)[0] if pool.pending else []
        for scored in [*(s for ref in ready for s in pool.take(ref)), *pool.expire()]:
            found[scored.key] = [scored.outcomes[place].value for place in range(4)]
    assert found == {f"p{seed}": [0.5] * 4 for seed in range(3)}
    assert re.fullmatch(r"reward pool default: its rewards are there again after \d+ s", notes[1])
    stop(pool)


def test_a_service_that_is_down_for_longer_than_the_limit_makes_its_samples_invalid(tmp_path):
    notes = []
    file, pool = down_pool(tmp_path, notes, outage_seconds=2.0)
    file.touch()
    found = score_all(pool, [group(0)])
    assert all(isinstance(one, InvalidReward) for one in found["p0"].values())
    stop(pool)


def test_one_response_that_a_service_has_no_reward_for_does_not_wait_for_an_outage(tmp_path):
    notes = []
    _, pool = down_pool(tmp_path, notes, never=["p1/2"])
    began = time.monotonic()
    found = score_all(pool, [group(seed) for seed in range(3)])
    assert time.monotonic() - began < 40
    invalid = [
        (name, place)
        for name, outcomes in found.items()
        for place, one in outcomes.items()
        if isinstance(one, InvalidReward)
    ]
    assert invalid == [("p1", 2)]
    stop(pool)
