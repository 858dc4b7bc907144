"""Actors that hold nothing: killed in a call or hung, they give the same answer, and it is told."""

import os
import time
from pathlib import Path

import pytest
import ray

from vr1_ray.actors.restarting import RestartWatch, restarts, this_process
from vr1_ray.actors.waiting import ActorError, ActorLostError

pytestmark = pytest.mark.ray


class Doubler:
    def double(self, value: int) -> tuple[str, int]:
        return this_process(), 2 * value

    def double_after(self, value: int, trouble: str, once: str) -> tuple[str, int]:
        """Die or hang at the first call: the file `once` knows whether it was."""
        if not Path(once).exists():
            Path(once).touch()
            if trouble == "dies":
                os._exit(1)
            time.sleep(200)
        return self.double(value)

    def die(self) -> None:
        os._exit(1)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def watch(notes):
    return RestartWatch(note=notes.append)


def start(watch, max_restarts):
    actor = ray.remote(Doubler).options(num_cpus=0, **restarts(max_restarts)).remote()
    calls = {"doubler": (actor, "double", (1,))}
    assert watch.call(calls, phase="starting", timeout_seconds=120) == [2]
    return actor


def test_an_actor_that_dies_in_a_call_answers_it_all_the_same(local_ray, watch, notes, tmp_path):
    actor = start(watch, 1)
    calls = {"doubler": (actor, "double_after", (21, "dies", str(tmp_path / "once")))}
    assert watch.call(calls, phase="doubling in step 3", timeout_seconds=120) == [42]
    assert notes == [
        "doubler was lost and started again, while doubling in step 3; nothing else is"
    ]
    assert watch.num_restarts == 1


def test_an_actor_that_hangs_is_ended_and_asked_again(local_ray, watch, notes, tmp_path):
    actor = start(watch, 1)
    calls = {"doubler": (actor, "double_after", (21, "hangs", str(tmp_path / "once")))}
    assert watch.call(calls, phase="doubling", timeout_seconds=45) == [42]
    assert "doubling: no answer from doubler within 45 s; it is started again" in notes[0]
    assert watch.num_restarts == 1


def test_restarts_are_bounded(local_ray, watch):
    actor = start(watch, 1)
    with pytest.raises(ActorLostError, match="doubler died, while dying"):
        watch.call({"doubler": (actor, "die", ())}, phase="dying", timeout_seconds=120)
    with pytest.raises(ActorError):
        watch.call({"doubler": (actor, "double", (1,))}, phase="doubling", timeout_seconds=120)
