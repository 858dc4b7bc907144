"""Actors that wait for room, whose GPU fails, or whose place must be kept, on a real Ray of four CPUs and no model."""

import time

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

from tests.integration.places import Rank, Reference
from vr1_ray.actors import room, waiting
from vr1_ray.actors.restarting import RestartWatch, restarts
from vr1_ray.actors.room import NoRoomError
from vr1_ray.actors.training import trainer_group
from vr1_ray.actors.training.trainer_group import TrainerGroup, TrainerLostError
from vr1_ray.config import RunConfig, TrainerConfig

pytestmark = pytest.mark.ray
LIMIT = 240.0


@pytest.fixture
def at_once(monkeypatch):
    """Looks come at once, so that a test need not wait for them."""
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(room, "TELL_SECONDS", 0.0)


@pytest.mark.parametrize(("room_seconds", "timeout_seconds"), [(1.0, LIMIT), (LIMIT, 1.0)])
def test_a_reference_without_room_is_told_and_waited_for_once(
    local_ray, at_once, room_seconds, timeout_seconds
):
    actor = ray.remote(Reference).options(num_cpus=1000, **restarts(1)).remote()
    notes, began = [], time.monotonic()
    watch = RestartWatch(notes.append, room_seconds=room_seconds)
    calls = {"reference 0": (actor, "answer", ())}
    with pytest.raises(NoRoomError, match="reference 0 has found no room in the cluster for 1 s"):
        watch.call(calls, phase="scoring", timeout_seconds=timeout_seconds)
    assert time.monotonic() - began < 30
    assert notes == ["reference 0 waits for room in the cluster"]
    ray.kill(actor)


def test_a_reference_whose_gpu_failed_is_started_again_and_answers(local_ray, tmp_path):
    file = tmp_path / "fails"
    file.touch()
    actor = ray.remote(Reference).options(num_cpus=0, **restarts(1)).remote()
    other = ray.remote(Reference).options(num_cpus=0, **restarts(1)).remote()
    notes: list[str] = []
    watch = RestartWatch(notes.append)
    calls = {"reference 0": (actor, "answer", ()), "reference 1": (other, "answer", ())}
    watch.call(calls, phase="scoring", timeout_seconds=LIMIT)
    calls["reference 0"] = (actor, "answer", (file,))
    assert watch.call(calls, phase="scoring", timeout_seconds=LIMIT) == [7, 7]
    assert watch.num_restarts == 1
    assert "reference 0 lost its GPU (unspecified launch failure), while scoring" in notes[0]
    for one in (actor, other):
        ray.kill(one)


@pytest.fixture
def trainers(local_ray, tmp_path, monkeypatch):
    """Two ranks of a CPU each."""
    monkeypatch.setattr(trainer_group, "TrainerActor", Rank)
    trainer = TrainerConfig(num_workers=2, num_cpus_per_worker=1)
    config = RunConfig(kind="sft", name="kept", runs_folder=str(tmp_path), trainer=trainer)
    group = TrainerGroup(config)
    group._wait(group.starting(1, None), phase="starting", timeout=LIMIT)
    yield group
    group.release()


def test_a_rank_whose_gpu_failed_is_a_lost_one(trainers):
    with pytest.raises(TrainerLostError, match="trainer 1 lost its GPU"):
        trainers.check("asking")


def test_a_trainer_that_starts_again_keeps_its_place_before_one_who_waits(trainers):
    waits = placement_group([{"CPU": 3}])
    before = [actor._actor_id for actor in trainers.actors]
    trainers.restart()
    assert [actor._actor_id for actor in trainers.actors] != before
    assert not waits.wait(0.5)
    remove_placement_group(waits)


def test_a_trainer_without_room_is_told_and_named(local_ray, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_group, "TrainerActor", Rank)
    config = RunConfig(
        kind="sft",
        name="large",
        runs_folder=str(tmp_path),
        trainer=TrainerConfig(num_workers=2, num_cpus_per_worker=1000),
    )
    config.cluster.start_timeout_seconds = 1.0
    notes: list[str] = []
    with pytest.raises(NoRoomError, match=r"trainer \d has found no room in the cluster"):
        TrainerGroup(config, note=notes.append)
    assert "trainer 0 waits for room in the cluster" in notes
