"""Every wait ends: with the results in order, or with an error that names actor, phase and cause."""

import os
import time

import pytest
import ray

from vr1_ray.actors.waiting import ActorError, ActorTimeoutError, wait_for

pytestmark = pytest.mark.ray


class Worker:
    def echo(self, value, seconds=0.0):
        time.sleep(seconds)
        return value

    def fail(self):
        raise ValueError("the cause")

    def die(self):
        os._exit(1)


@pytest.fixture
def worker(local_ray):
    """A worker whose process has started: the tests' limits are for its calls alone."""
    actor = ray.remote(Worker).options(num_cpus=0, max_concurrency=4).remote()
    assert wait_for({"worker": actor.echo.remote(0)}, phase="start", timeout_seconds=120) == [0]
    return actor


def test_results_come_in_the_order_asked_not_in_the_order_ready(worker):
    pending = {"slow": worker.echo.remote(1, 0.3), "quick": worker.echo.remote(2)}
    assert wait_for(pending, phase="echoing", timeout_seconds=30) == [1, 2]


def test_a_late_actor_is_named_with_phase_and_limit(worker):
    pending = {"quick": worker.echo.remote(2), "slow": worker.echo.remote(1, 5.0)}
    with pytest.raises(ActorTimeoutError, match=r"echoing: no answer from slow within 1 s"):
        wait_for(pending, phase="echoing", timeout_seconds=1.0)


def test_one_that_stays_away_after_the_first_answer_is_not_waited_for_to_the_limit(worker):
    pending = {"hanging": worker.echo.remote(1, 20.0), "first": worker.echo.remote(2, 1.0)}
    with pytest.raises(ActorTimeoutError, match=r"echoing: no answer from hanging within [23] s"):
        wait_for(pending, phase="echoing", timeout_seconds=60, apart_seconds=1.0)


def test_the_first_answer_itself_may_take_longer_than_the_others_may_be_apart(worker):
    pending = {"first": worker.echo.remote(1, 1.5), "second": worker.echo.remote(2, 1.6)}
    assert wait_for(pending, phase="echoing", timeout_seconds=60, apart_seconds=1.0) == [1, 2]


def test_an_exception_shows_its_cause_first(worker):
    with pytest.raises(ActorError) as raised:
        wait_for({"worker 3": worker.fail.remote()}, phase="failing", timeout_seconds=30)
    assert str(raised.value).startswith("the cause")
    assert "worker 3" in str(raised.value)
    assert "failing" in str(raised.value)


def test_a_failure_shows_while_another_actor_still_hangs(worker):
    pending = {"hanging": worker.echo.remote(1, 20.0), "failing": worker.fail.remote()}
    began = time.monotonic()
    with pytest.raises(ActorError, match="the cause"):
        wait_for(pending, phase="working", timeout_seconds=60)
    assert time.monotonic() - began < 10


def test_a_dead_actor_is_named(worker):
    with pytest.raises(ActorError, match="worker 0 died, while dying"):
        wait_for({"worker 0": worker.die.remote()}, phase="dying", timeout_seconds=30)
