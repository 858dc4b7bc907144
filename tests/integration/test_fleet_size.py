"""How a live run answers commands for another size, on a real Ray of four CPUs: refused, taken, or taken and waiting."""

import time

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.actors.control import REFUSED, Control, ScaleCommand
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.actors.rollouts.engine_place import EnginePlace, bundle
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.fleet_size import FleetSize
from vr1_ray.actors.waiting import ActorError, wait_for
from vr1_ray.config import (
    AlgorithmConfig,
    ConfigError,
    RewardPoolConfig,
    RewardSpec,
    RolloutConfig,
    RunConfig,
    TrainerConfig,
)
from vr1_ray.types import Stage

pytestmark = pytest.mark.ray
STAGE = Stage(number=1, max_response_tokens=4, group_size=4, steps=1)


class Starts:
    """An engine's or a reward's place, without the model."""

    def start(self):
        return ray.get_runtime_context().get_node_id()

    def ready(self):
        return True

    def probe(self):
        """Nothing to say: it is there."""

    def close(self):
        """Nothing to stop."""


@pytest.fixture(scope="module")
def size(local_ray, tmp_path_factory):
    """One engine of 1 CPU and a reward actor of half a one; the trainer's one CPU is spoken for."""
    config = RunConfig(
        kind="rl",
        name="sized",
        runs_folder=str(tmp_path_factory.mktemp("runs")),
        trainer=TrainerConfig(num_workers=1, num_cpus_per_worker=1),
        rollout=RolloutConfig(num_cpus_per_engine=1),
        rewards=[RewardSpec(name="hard_format")],
        reward_pools={"default": RewardPoolConfig(num_cpus_per_actor=0.5)},
        algorithm=AlgorithmConfig(kl_coef=0.0),
    )

    def launch(index, occupied):
        group = placement_group([bundle(config.rollout)])
        strategy = PlacementGroupSchedulingStrategy(placement_group=group)
        actor = ray.remote(Starts).options(num_cpus=1, scheduling_strategy=strategy).remote()
        return EnginePlace(group=group, actor=actor, starting=actor.start.remote(), likely_node="")

    engines = EngineSet(
        launch,
        limits=config.rollout.health,
        number=1,
        start_seconds=240,
        call_seconds=240,
        note=print,
    )
    remote = ray.remote(Starts).options(num_cpus=0.5)
    pool = RewardPool(
        "default",
        config.reward_pools["default"],
        lambda index: remote.remote(),
        start_timeout_seconds=240,
        note=print,
    )
    engines.wait_until_started()
    control = Control(config)
    yield FleetSize(config, engines, [pool], control, note=print)
    control.close()
    engines.close(seconds=0)
    for actor in pool.actors:
        ray.kill(actor)


def answer(size, command):
    """What the run says to a command between two steps."""
    call = size.control.actor.send.remote(command)
    [number] = wait_for({"control": call}, phase="sending", timeout_seconds=240)
    size.begin_step(STAGE)
    call = size.control.actor.answer_of.remote(number)
    return wait_for({"control": call}, phase="asking", timeout_seconds=240)[0]


def test_what_no_node_could_ever_hold_is_refused_with_the_room_there_is(size):
    """Of four CPUs the trainer has 1 and the reward 0.5, so there is room for 2 engines; with 1 engine for 4 rewards."""
    found = answer(size, ScaleCommand(engines=1_000_000))
    assert found.startswith(f"{REFUSED}--engines 1000000: the cluster's nodes, ")
    assert "have room for 2 at most (1 CPU each, beside the rest of the run)" in found
    found = answer(size, ScaleCommand(rewards=5))
    assert "room for 4 at most (0.5 CPU each" in found
    assert len(size.engines.wanted) == 1
    assert len(size.reward_pools["default"].slots) == 1


def test_what_only_has_to_wait_is_taken_and_says_that_it_waits(size):
    taken = placement_group([{"CPU": 2.5}])  # another job's
    wait_for({"other": taken.ready()}, phase="taking CPUs", timeout_seconds=240)
    deadline = time.monotonic() + 240
    while ray.available_resources().get("CPU", 0.0) > 0.1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    found = answer(size, ScaleCommand(engines=2))
    assert (
        found
        == "engines: 1 -> 2 (1 of them wait for room, 1 CPU each, and start when there is some)"
    )
    remove_placement_group(taken)
    while len(size.engines.serving) < 2:
        assert time.monotonic() < deadline
        size.engines.tick()
        time.sleep(0.2)
    assert answer(size, ScaleCommand(engines=1)) == "engines: 2 -> 1"


@pytest.mark.parametrize(
    "command", [ScaleCommand(engines="3"), ScaleCommand(rewards=2.5), ScaleCommand(engines=True), 7]
)
def test_a_command_of_a_wrong_type_never_reaches_the_driver(size, command):
    call = size.control.actor.send.remote(command)
    with pytest.raises(ActorError, match=r"give a whole number|is no ScaleCommand") as error:
        wait_for({"control": call}, phase="sending", timeout_seconds=240)
    assert "ConfigError" in str(error.value)
    assert size.control.take() == []


def test_a_pool_that_is_no_name_is_refused_before_it_is_sent():
    from vr1_ray.actors.control import check_types

    with pytest.raises(ConfigError, match="--pool 3: give the name of a reward pool"):
        check_types(ScaleCommand(rewards=1, pool=3))
