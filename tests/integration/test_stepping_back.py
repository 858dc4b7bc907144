"""A trainer that is started again keeps its place, and engines that wait for room leave it theirs, on a real Ray.

The actors are without models: what is tested is who gets which CPUs.
"""

import time

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.actors.rollouts.engine_place import EnginePlace, bundle
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.stepping_back import stepping_back
from vr1_ray.actors.training import trainer_group
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.config import RolloutConfig, RunConfig, TrainerConfig

pytestmark = pytest.mark.ray
LIMIT = 240.0


class Rank:
    """A trainer rank's place, without the model."""

    def __init__(self, config, rank):
        self.node = ray.get_runtime_context().get_node_id()

    def look(self, token):
        with open(token) as file:
            return "127.0.0.1", file.read()

    def listen(self, address):
        return 1

    def start(self, *arguments):
        return self.node


class Starts:
    """An engine's place, without the model."""

    def start(self):
        return ray.get_runtime_context().get_node_id()

    def probe(self):
        """Nothing to say: it is there."""


@pytest.fixture
def cluster():
    """A head without CPUs; two of them come with each node."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def start(cluster, tmp_path, monkeypatch, *, num_engines):
    """A trainer rank of two CPUs and engines of two each; the first gets the second node."""
    monkeypatch.setattr(trainer_group, "TrainerActor", Rank)
    trainer = TrainerConfig(num_workers=1, num_cpus_per_worker=2)
    rollout = RolloutConfig(num_cpus_per_engine=2)
    config = RunConfig(
        kind="rl", name="back", runs_folder=str(tmp_path), trainer=trainer, rollout=rollout
    )
    first = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    trainers = TrainerGroup(config)
    trainers._wait(trainers.starting(1, None), phase="starting", timeout=LIMIT)
    cluster.add_node(num_cpus=2)

    def launch(index, occupied, avoided):
        group = placement_group([bundle(rollout)])
        strategy = PlacementGroupSchedulingStrategy(placement_group=group)
        actor = ray.remote(Starts).options(num_cpus=2, scheduling_strategy=strategy).remote()
        return EnginePlace(group=group, actor=actor, starting=actor.start.remote(), likely_node="")

    engines = EngineSet(
        launch,
        limits=rollout.health,
        number=1,
        start_seconds=LIMIT,
        call_seconds=LIMIT,
        note=print,
    )
    engines.wait_until_started()
    engines.resize(num_engines)
    return first, trainers, engines


def test_a_trainer_that_starts_again_keeps_its_place_before_an_engine_that_waits(
    cluster, tmp_path, monkeypatch
):
    _, trainers, engines = start(cluster, tmp_path, monkeypatch, num_engines=2)
    place = trainers.placement.id
    trainers.restart()
    assert trainers.placement.id == place
    engines.tick()
    assert [engine.place.has_room() for engine in engines.wanted] == [True, False]


def test_a_trainer_whose_node_died_gets_the_next_node_before_an_engine_that_asked_first(
    cluster, tmp_path, monkeypatch
):
    first, trainers, engines = start(cluster, tmp_path, monkeypatch, num_engines=2)
    waiting = engines.wanted[1]
    assert not waiting.place.has_room()
    cluster.remove_node(first, allow_graceful=False)
    with stepping_back(engines):
        assert waiting.place is None
        cluster.add_node(num_cpus=2)
        trainers.restart()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        engines.tick()
        time.sleep(0.5)
    assert not waiting.place.has_room()  # it asks again, and waits
    assert len(engines.serving) == 1
