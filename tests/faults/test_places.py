"""Which node engines and trainer get, on a real Ray of three nodes: room, nodes to avoid, and a node that dies."""

import time

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

from tests.integration.places import Engine, Rank
from vr1_ray.actors.rollouts.engine_place import EnginePlace, bundle, emptiest_node
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.stepping_back import step_back
from vr1_ray.actors.training import trainer_group
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.config import EngineHealthConfig, RolloutConfig, RunConfig, TrainerConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
LIMIT = 240.0
ROLLOUT = RolloutConfig(num_cpus_per_engine=2)
TRAINS = {"trains": 1}


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs on each of three nodes; trainers run on two of them."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=2, resources=TRAINS) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.nodes_of_two = [node.node_id for node in nodes]
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def until(is_true):
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def engine_set(number, broken=""):
    """Engines of two CPUs, placed as a run's are. Their launches are in `launches`: nodes to avoid, node chosen."""
    launches = []

    def launch(index, occupied, avoided):
        node = broken if broken and not avoided else emptiest_node(ROLLOUT, occupied, avoided)
        launches.append((set(avoided), node))
        group = placement_group([bundle(ROLLOUT)], "STRICT_PACK", _soft_target_node_id=node)
        strategy = PlacementGroupSchedulingStrategy(placement_group=group)
        actor = ray.remote(Engine).options(num_cpus=2, scheduling_strategy=strategy).remote()
        return EnginePlace(
            group=group, actor=actor, starting=actor.start.remote(broken), likely_node=node or ""
        )

    limits = EngineHealthConfig(restart_delay_seconds=0.0, recovery_seconds=LIMIT)
    engines = EngineSet(
        launch, limits=limits, number=number, start_seconds=LIMIT, call_seconds=LIMIT, note=print
    )
    engines.launches = launches
    return engines


def test_an_engine_goes_where_there_is_room_and_not_where_starts_failed(cluster):
    full, free = cluster.nodes_of_two
    strategies = [
        NodeAffinitySchedulingStrategy(node, soft=False)
        for node in (cluster.head_node.node_id, full)
    ]
    trainers = [
        ray.remote(Rank).options(num_cpus=2, scheduling_strategy=one).remote(None, 0)
        for one in strategies
    ]
    # With two engines on the node that has room, and none on those that are full.
    until(lambda: emptiest_node(ROLLOUT, [free, free]) == free)
    assert emptiest_node(ROLLOUT, [], {free}) in (full, cluster.head_node.node_id)
    every = {node["NodeID"] for node in ray.nodes()}
    assert emptiest_node(ROLLOUT, [], every) is None
    for trainer in trainers:
        ray.kill(trainer)
    until(lambda: ray.available_resources().get("CPU") == 6)


def test_an_engine_whose_start_failed_starts_on_another_node(cluster):
    broken = cluster.nodes_of_two[0]
    engines = engine_set(1, broken)
    engines.wait_until_started()
    assert engines.launches[0] == (set(), broken)
    assert engines.launches[1][0] == {broken}
    assert engines.wanted[0].node != broken
    engines.close(seconds=0.0)
    until(lambda: ray.available_resources().get("CPU") == 6)


def test_a_trainer_whose_node_died_gets_the_next_node_before_an_engine_that_asked_first(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer_group, "TrainerActor", Rank)
    trainer = TrainerConfig(num_workers=1, num_cpus_per_worker=2, resources=dict(TRAINS))
    trainers = TrainerGroup(
        RunConfig(kind="sft", name="back", runs_folder=str(tmp_path), trainer=trainer)
    )
    [home] = trainers._wait(trainers.starting(1, None), phase="starting", timeout=LIMIT)
    engines = engine_set(2)
    engines.wait_until_started()
    engines.resize(3)
    waiting = engines.wanted[2]
    assert not waiting.place.has_room()
    [node] = [node for node in cluster.worker_nodes if node.node_id == home]
    cluster.remove_node(node, allow_graceful=False)
    added = []

    def make_room():
        step_back(engines)
        if waiting.place is None and not added:
            added.append(cluster.add_node(num_cpus=2, resources=TRAINS))

    trainers.restart(make_room=make_room)
    assert waiting.place is None
    engines.tick()
    assert waiting.place is not None  # it asks again, and waits
    assert not waiting.place.has_room()
    assert len(engines.serving) == 2
    engines.close(seconds=0.0)
    trainers.release()
