"""Engines that die, hang, join and leave, on a real Ray: rollout actors around the transformers engine.

The same with vLLM and a whole run: `tests/faults`. Here the pool works alone, so its weights are put into
the object store by the test.
"""

import os
import signal
import time

import pytest
import ray
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.builders import TINY_MODEL, prompt, random_weights
from vr1_ray.actors.rollouts.colocation import put_to_sleep
from vr1_ray.actors.rollouts.engine_health import ASLEEP, DEAD, HEALTHY, RESTARTING, RETIRED, STALE
from vr1_ray.actors.rollouts.engine_place import launcher
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.invalid_rollouts import InvalidRollouts
from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.actors.waiting import ActorError
from vr1_ray.actors.weights.weight_sync import ObjectStoreTransport
from vr1_ray.config import (
    EngineHealthConfig,
    InvalidRolloutsConfig,
    ModelConfig,
    RolloutConfig,
    RunConfig,
)
from vr1_ray.types import SamplingSpec, Stage
from vr1_ray.weights.packing import pack_bucket

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]
STAGE = Stage(number=1, max_response_tokens=12, group_size=4, steps=1)
SPEC = SamplingSpec(max_response_tokens=12, group_size=4)
PROMPTS = [prompt(seed) for seed in range(6)]
LIMIT = 600.0


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def make_config(folder, **rollout):
    return RunConfig(
        kind="rl",
        name="engines",
        runs_folder=str(folder),
        model=ModelConfig(path=str(TINY_MODEL), max_model_len=256),
        rollout=RolloutConfig(
            engine="hf", verify_weights=True, **({"num_cpus_per_engine": 0.5} | rollout)
        ),
    )


class Fleet:
    """Engines and their pool, with what was told to the user."""

    def __init__(self, config, number):
        self.notes = []
        self.engines = EngineSet(
            launcher(config, None),
            limits=config.rollout.health,
            number=number,
            start_seconds=LIMIT,
            call_seconds=LIMIT,
            note=self.notes.append,
        )
        self.pool = RolloutPool(
            self.engines,
            [],
            max_concurrent_responses=8,
            timeout_seconds=LIMIT,
            invalid=InvalidRollouts(InvalidRolloutsConfig()),
        )

    def step(self, number, meanwhile=None):
        """Response ids of all groups of a step, by prompt, each asserted to come once."""
        self.pool.submit(PROMPTS, SPEC, STAGE, number)
        if meanwhile is not None:
            meanwhile()
        groups = self.pool.collect(number)
        assert [group.prompt.prompt_id for group in groups] == [p.prompt_id for p in PROMPTS]
        assert {group.policy_version for group in groups} == {self.engines.version}
        return [[rollout.response_ids for rollout in group.rollouts] for group in groups]

    def until(self, is_true):
        deadline = time.monotonic() + LIMIT
        while not is_true():
            assert time.monotonic() < deadline, self.states()
            self.engines.tick()
            time.sleep(0.05)

    def states(self):
        return [engine.health.state for engine in self.engines.engines]


def process_of(engine):
    """Process id of an engine's actor."""
    task = engine.actor.__ray_call__.remote(lambda actor: os.getpid())
    return ray.get(task, timeout=LIMIT)


class Published(ObjectStoreTransport):
    """Weights that are there without a trainer, so there is none to lose."""

    def __init__(self, version, buckets):
        self.version, self.buckets = version, buckets

    def check(self):
        pass


def publish(seed, version):
    """Other weights, as a trainer would publish them."""
    model = random_weights(
        Qwen2_5_VLForConditionalGeneration.from_pretrained(TINY_MODEL), seed=seed
    )
    return Published(version, [ray.put(pack_bucket(model.state_dict().items()))])


def test_an_engine_that_is_killed_costs_no_group_and_comes_back_with_the_present_weights(tmp_path):
    fleet = Fleet(make_config(tmp_path), number=2)
    fleet.engines.wait_until_started()
    first, second = fleet.engines.engines
    undisturbed = fleet.step(1)
    assert fleet.pool.last_metrics["engines/regenerated_groups"] == 0

    # While it samples: the same step, again, with the same seeds, on the other engine.
    victim = process_of(first)
    assert fleet.step(1, meanwhile=lambda: os.kill(victim, signal.SIGKILL)) == undisturbed
    assert fleet.pool.last_metrics["engines/regenerated_groups"] >= 1
    assert fleet.notes[0].endswith("; engine 0 is started anew")

    # A sync that it is not there for: it serves only after it has loaded what the others have.
    assert first.health.state != HEALTHY
    fleet.engines.sync(publish(seed=5, version=1))
    assert second.health.state == HEALTHY
    fleet.until(lambda: first.health.state == HEALTHY)
    assert fleet.engines.num_restarts == 1
    assert fleet.notes[-1] == "engine 0 serves again, with policy version 1"
    changed = fleet.step(1)
    assert changed != undisturbed

    # The other one dies idle; the sync does without it, and the step is sampled by the first alone.
    os.kill(process_of(second), signal.SIGKILL)
    fleet.engines.sync(publish(seed=5, version=2))
    assert first.health.state == HEALTHY
    assert fleet.step(1) == changed
    fleet.engines.close(seconds=0)


def test_an_engine_that_took_weights_when_newer_ones_were_published_takes_these_too(tmp_path):
    fleet = Fleet(make_config(tmp_path), number=1)
    fleet.engines.wait_until_started()
    transport = publish(seed=5, version=1)
    fleet.engines.sync(transport)
    [engine] = fleet.engines.engines
    os.kill(process_of(engine), signal.SIGKILL)
    fleet.until(lambda: engine.health.state == STALE)
    # It has answered, and nobody has looked: the driver was busy with the trainer, as at the end of a step.
    assert ray.wait([engine.call], timeout=LIMIT)[0]
    newer = publish(seed=6, version=2)
    transport.version, transport.buckets = newer.version, newer.buckets
    fleet.engines.sync(transport)
    assert engine.health.state == HEALTHY
    assert fleet.notes[-1] == "engine 0 serves again, with policy version 2"
    changed = fleet.step(1)
    fleet.engines.sync(newer)
    assert fleet.step(1) == changed
    fleet.engines.close(seconds=0)


def test_engines_join_and_leave_and_one_without_room_waits_without_blocking(tmp_path):
    fleet = Fleet(make_config(tmp_path, num_cpus_per_engine=1.0), number=1)
    fleet.engines.wait_until_started()
    undisturbed = fleet.step(1)
    fleet.engines.sync(publish(seed=6, version=1))
    changed = fleet.step(1)
    assert changed != undisturbed

    fleet.engines.resize(3)  # there is room for two
    assert fleet.states() == [HEALTHY, RESTARTING, RESTARTING]
    assert fleet.step(1) == changed
    fleet.until(lambda: len(fleet.engines.serving) == 2)
    fleet.engines.tick()
    assert fleet.states().count(RESTARTING) == 1
    assert fleet.step(1) == changed

    fleet.engines.resize(1)
    fleet.engines.tick()
    assert fleet.states() == [HEALTHY]
    assert fleet.step(1) == changed
    fleet.engines.close(seconds=0)


def test_engines_asleep_serve_only_after_the_next_sync_also_one_that_was_lost_meanwhile(tmp_path):
    fleet = Fleet(make_config(tmp_path), number=2)
    fleet.engines.wait_until_started()
    fleet.engines.sync(publish(seed=7, version=1))
    awake = fleet.step(1)
    put_to_sleep(fleet.engines)
    assert fleet.states() == [ASLEEP, ASLEEP]
    assert fleet.engines.serving == []
    put_to_sleep(fleet.engines)  # once is enough
    fleet.engines.sync(publish(seed=7, version=2))
    assert fleet.states() == [HEALTHY, HEALTHY]
    assert fleet.step(1) == awake

    first, second = fleet.engines.engines
    put_to_sleep(fleet.engines)
    os.kill(process_of(first), signal.SIGKILL)
    fleet.engines.sync(publish(seed=8, version=3))
    assert second.health.state == HEALTHY
    changed = fleet.step(1)
    assert changed != awake
    put_to_sleep(fleet.engines)  # waits for the one that is starting: it would take memory
    assert set(fleet.states()) <= {ASLEEP, DEAD}
    fleet.engines.sync(publish(seed=8, version=4))
    fleet.until(lambda: len(fleet.engines.serving) == 2)
    assert fleet.step(1) == changed
    fleet.engines.close(seconds=0)


def test_an_engine_that_hangs_is_found_by_its_probes_and_one_that_cannot_come_back_ends_the_run(
    tmp_path,
):
    health = EngineHealthConfig(
        probe_seconds=0.2, probe_timeout_seconds=2.0, probes_until_dead=2, max_restarts=0
    )
    fleet = Fleet(make_config(tmp_path, health=health), number=1)
    fleet.engines.wait_until_started()
    [engine] = fleet.engines.engines
    victim = process_of(engine)
    os.kill(victim, signal.SIGSTOP)
    with pytest.raises(ActorError) as error:
        fleet.until(lambda: False)
    message = str(error.value)
    assert message.splitlines()[0].startswith("given up after 0 restarts")
    assert "no answer to a probe within 2 s, 2 times in a row" in message
    assert "rollout.health.min_healthy 1" in message
    assert engine.health.state == RETIRED
    assert any("gets no new requests" in note for note in fleet.notes)
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{victim}"):
        assert time.monotonic() < deadline, "the hanging process lives on"
        time.sleep(0.1)
    fleet.engines.close(seconds=0)


def test_an_engine_whose_settings_are_wrong_ends_the_start_with_its_own_error(tmp_path):
    config = make_config(tmp_path)
    config.model.path = str(tmp_path / "nothing")
    fleet = Fleet(config, number=1)
    with pytest.raises(ActorError, match="nothing"):
        fleet.engines.wait_until_started()
    assert STALE not in fleet.states()
    fleet.engines.close(seconds=0)
