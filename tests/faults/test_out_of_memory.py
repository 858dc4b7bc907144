"""Ray's memory monitor on a real Ray: the actor that it kills is a lost one, named with node and memory, and replaced."""

import time

import psutil
import pytest
import ray
from ray.exceptions import (
    ActorUnschedulableError,
    NodeDiedError,
    OutOfDiskError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from vr1_ray.actors.losses import how_lost
from vr1_ray.actors.restarting import RestartWatch, restarts, this_process
from vr1_ray.actors.rewards.reward_actor import ScoredCall
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import ActorLostError, put, wait_for
from vr1_ray.config import RewardPoolConfig
from vr1_ray.types import RewardOutput

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOM = 1.5 * 2**30  # bytes above what is used now
BLOCK = 64 << 20


@pytest.fixture(scope="module")
def scarce_ray():
    """A local Ray whose monitor kills when this machine uses a little more memory than now."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + ROOM) / memory.total
    watch = {"memory_usage_threshold": threshold, "memory_monitor_refresh_ms": 100}
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        _system_config=watch,
    )
    yield
    ray.shutdown()


class Hoarder:
    """Takes memory until it is killed, the first time; `file` tells the next process that there was one."""

    def __init__(self, file):
        self.file, self.blocks = file, []

    def ready(self):
        return True

    def hoard(self, much=True):
        if much and not self.file.exists():
            self.file.touch()
            end = time.monotonic() + 60
            while time.monotonic() < end:
                self.blocks += [b"x" * BLOCK] if len(self.blocks) < 64 else []
                time.sleep(0.05)
        return this_process(), len(self.blocks)

    def score(self, group, prompt, places):
        self.hoard()
        outcomes = [RewardOutput(value=0.5, parts={}) for _ in places]
        return ScoredCall(outcomes=outcomes, seconds=0.0)


def launch(file, **options):
    return ray.remote(Hoarder).options(num_cpus=0, **options).remote(file)


def test_an_actor_killed_for_memory_is_a_lost_one_and_its_node_and_memory_are_named(
    scarce_ray, tmp_path
):
    actor = launch(tmp_path / "seen")
    with pytest.raises(ActorLostError) as lost:
        wait_for({"engine 1": actor.hoard.remote()}, phase="sampling", timeout_seconds=120)
    first = str(lost.value).splitlines()[0]
    assert first.startswith("engine 1 was killed for want of memory (node ")
    assert "GB limit; it had " in first
    assert first.index("GB used / ") < first.index("while sampling")


def test_a_reward_actor_killed_for_memory_is_replaced_and_no_sample_is_lost(scarce_ray, tmp_path):
    notes = []
    pool = RewardPool(
        "default",
        RewardPoolConfig(),
        lambda index: launch(tmp_path / "seen"),
        start_timeout_seconds=120,
        note=notes.append,
    )
    pool.score("group", put([], what="group"), put(0, what="prompt"), places=(0, 1), where="step 1")
    found, deadline = [], time.monotonic() + 120
    while not found:
        assert time.monotonic() < deadline
        for ref in ray.wait(pool.pending, timeout=1.0)[0]:
            found += pool.take(ref)
    assert {place: one.value for place, one in found[0].outcomes.items()} == {0: 0.5, 1: 0.5}
    assert pool.num_restarts == 1
    [told] = notes
    assert "was killed for want of memory" in told
    assert told.endswith("; the actor is started again")
    for actor in pool.actors:
        ray.kill(actor)


def test_a_reference_actor_killed_for_memory_does_its_call_once_more(scarce_ray, tmp_path):
    notes = []
    actor = launch(tmp_path / "seen", **restarts(3))
    watch = RestartWatch(note=notes.append)
    little = {"reference 0": (actor, "hoard", (False,))}
    assert watch.call(little, phase="starting", timeout_seconds=120) == [0]
    calls = {"reference 0": (actor, "hoard", ())}
    assert watch.call(calls, phase="scoring", timeout_seconds=120) == [0]
    assert notes == ["reference 0 was lost and started again, while scoring; nothing else is"]
    ray.kill(actor)


def test_a_trainer_rank_killed_for_memory_is_named_as_that(scarce_ray, tmp_path):
    actor = launch(tmp_path / "seen")
    call = {"trainer 1": actor.hoard.remote()}
    with pytest.raises(ActorLostError) as lost:
        wait_for(call, phase="training", timeout_seconds=120)
    name, how = TrainerGroup._lost_rank(None, call, lost.value)
    assert name == "trainer 1"
    assert how.startswith("was killed for want of memory (node ")


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (NodeDiedError("Task failed due to node dying"), "died with its node"),
        (WorkerCrashedError(), "died"),
        (OutOfDiskError("the disk is full"), "was lost for want of disk"),
        (ActorUnschedulableError("no node has it"), "has no node it can run on"),
        (RuntimeEnvSetupError("no such package"), ""),
    ],
)
def test_each_of_rays_words_for_a_loss_is_one_and_a_bad_environment_is_none(error, how):
    assert how_lost(error) == how
