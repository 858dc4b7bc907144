"""Engines that join, fail and come back, on a real Ray. They have no model: what is tested is who is asked what, and when."""

import time

import pytest
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from tests.integration.places import Engine
from vr1_ray.actors.rollouts.engine_health import EngineFloor
from vr1_ray.actors.rollouts.engine_place import EnginePlace
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.evaluating import evaluate_each
from vr1_ray.actors.rollouts.invalid_rollouts import InvalidRollouts
from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.actors.weights.weight_sync import WeightTransport
from vr1_ray.config import EngineHealthConfig, InvalidRolloutsConfig
from vr1_ray.types import Prompt, SamplingSpec

pytestmark = pytest.mark.ray
LIMIT = 240.0


class Versions(WeightTransport):
    """Sends nothing but the version."""

    def publish(self, version):
        self.version = version

    def load(self, engine):
        return engine.actor.load_weights.remote(self.version)

    def check(self):
        """There is no trainer."""


def launch(index, occupied, avoided):
    group = placement_group([{"CPU": 1}])
    strategy = PlacementGroupSchedulingStrategy(placement_group=group)
    actor = ray.remote(Engine).options(num_cpus=1, scheduling_strategy=strategy).remote()
    return EnginePlace(group=group, actor=actor, starting=actor.start.remote(), likely_node="")


@pytest.fixture
def engines(local_ray):
    limits = EngineHealthConfig(restart_delay_seconds=0.0, probe_seconds=0.1)
    found = EngineSet(
        launch, limits=limits, number=1, start_seconds=LIMIT, call_seconds=LIMIT, note=print
    )
    found.wait_until_started()
    yield found
    found.close(seconds=0.0)


def tick_until(engines, is_true):
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline
        engines.tick()
        time.sleep(0.05)


def versions(number):
    transport = Versions(None)
    transport.publish(number)
    return transport


def test_an_engine_that_started_before_a_sync_loads_the_weights_once(engines):
    engines.sync(versions(1))
    engines.resize(2)
    joined = engines.wanted[1]
    ray.wait([joined.call], timeout=LIMIT)
    engines.sync(versions(2))
    assert len(engines.serving) == 2
    assert ray.get(joined.actor.loaded.remote(), timeout=LIMIT) == [2]


def test_an_engine_whose_start_ends_between_two_syncs_serves_at_once(engines):
    engines.sync(versions(1))
    engines.resize(2)
    tick_until(engines, lambda: len(engines.serving) == 2)
    assert ray.get(engines.serving[1].actor.loaded.remote(), timeout=LIMIT) == [1]


def test_an_engine_whose_gpu_failed_under_it_is_replaced(engines, capsys):
    [engine] = engines.wanted
    before = engine.actor
    ray.get(before.fail.remote(), timeout=LIMIT)
    tick_until(engines, lambda: engine.actor not in (None, before) and engines.serving)
    assert "engine 0 lost its GPU (unspecified launch failure)" in capsys.readouterr().out


def test_an_engine_that_starts_again_while_nobody_looks_is_waited_for(engines):
    [engine] = engines.wanted
    engines.minimum.limits = EngineHealthConfig(recovery_seconds=0.5)
    engines.lost(engine, "no GPU")
    tick_until(engines, lambda: engine.call is not None)
    time.sleep(1.0)  # the trainer works
    tick_until(engines, lambda: engines.serving)


def test_an_engine_that_joins_is_not_missing(engines):
    alarms, now = [], [0.0]
    engines.floor = EngineFloor(EngineHealthConfig(), note=alarms.append, clock=lambda: now[0])
    engines.resize(3)
    for now[0] in (0.0, 1e6):
        engines.tick()
    assert alarms == []


def test_an_engine_that_was_given_up_comes_back_and_serves(engines):
    engines.resize(2)
    tick_until(engines, lambda: len(engines.serving) == 2)
    engine = engines.wanted[1]
    engine.health.limits = EngineHealthConfig(max_restarts=0, restart_delay_seconds=0.0)
    engines.lost(engine, "no GPU")
    tick_until(engines, lambda: engine not in engines.wanted)
    engine.health.limits = EngineHealthConfig(restart_window_seconds=0.1)
    tick_until(engines, lambda: len(engines.serving) == 2)
    assert engine in engines.serving


def test_what_an_evaluation_left_under_way_does_not_meet_the_next_one(engines, tmp_path):
    invalid = InvalidRollouts(InvalidRolloutsConfig(), note=print, log=tmp_path / "log")
    pool = RolloutPool(
        engines, [], max_concurrent_responses=4, timeout_seconds=LIMIT, invalid=invalid
    )
    spec = SamplingSpec(max_response_tokens=4, group_size=1)
    prompts = [Prompt(prompt_id=str(n), question="?") for n in range(4)]
    first = evaluate_each(pool, prompts, spec)
    next(first)
    first.close()  # as when the evaluation could not be written, or a trainer rank was lost meanwhile
    found = [group.prompt.prompt_id for group in evaluate_each(pool, prompts[::-1], spec)]
    assert sorted(found) == ["0", "1", "2", "3"]
    assert (pool.steps, pool.sampling, list(pool.waiting)) == ({}, {}, [])
