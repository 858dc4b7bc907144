"""The engines' states: hand-worked passages, with a clock of the test's own."""

import pytest

from vr1_ray.actors.rollouts.engine_health import (
    ASLEEP,
    DEAD,
    HEALTHY,
    RESTARTING,
    RETIRED,
    STALE,
    SUSPECT,
    EngineHealth,
    HealthyMinimum,
)
from vr1_ray.config import EngineHealthConfig


class Clock:
    """Stands still unless told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def engine(clock, state=HEALTHY, **limits):
    """An engine in one of the states a run brings it to."""
    health = EngineHealth(EngineHealthConfig(**limits), clock=clock)
    if state in (STALE, HEALTHY, SUSPECT):
        health.started()
    if state in (HEALTHY, SUSPECT):
        health.loaded()
    if state == SUSPECT:
        health.probe_failed("no answer within 30 s")
    if state == ASLEEP:
        health.started()
        health.fell_asleep()
    if state == DEAD:
        health.died("gone")
    if state == RETIRED:
        health.retire()
    assert health.state == state
    return health


def test_an_engine_serves_only_after_its_start_and_a_load_of_the_present_weights(clock):
    health = engine(clock, RESTARTING)
    health.started()
    assert health.state == STALE
    health.loaded()
    assert health.state == HEALTHY


@pytest.mark.parametrize("state", [HEALTHY, SUSPECT, STALE])
def test_a_new_policy_version_makes_every_engine_stale_until_it_has_it(clock, state):
    health = engine(clock, state)
    health.outdated()
    assert health.state == STALE
    health.probe_answered()
    assert health.state == STALE
    health.loaded()
    assert health.state == HEALTHY


def test_a_failed_probe_makes_it_suspect_an_answer_heals_it_and_three_in_a_row_kill_it(clock):
    health = engine(clock)
    health.probe_failed("no answer within 30 s")
    health.probe_failed("no answer within 30 s")
    assert health.state == SUSPECT
    health.probe_answered()
    assert health.state == HEALTHY
    assert health.reason == ""
    for _ in range(2):
        health.probe_failed("no answer within 30 s")
        assert health.state == SUSPECT
    health.probe_failed("no answer within 30 s")
    assert health.state == DEAD
    assert health.reason == "no answer within 30 s, 3 times in a row"


def test_a_stale_engine_that_fails_its_probes_never_becomes_suspect_or_healthy(clock):
    health = engine(clock, STALE, probes_until_dead=2)
    health.probe_failed("no answer")
    assert health.state == STALE
    health.probe_failed("no answer")
    assert health.state == DEAD


def test_restarts_wait_one_two_and_four_seconds_and_the_fourth_death_is_the_last(clock):
    health = engine(clock, max_restarts=3)
    for delay in (1.0, 2.0, 4.0):
        health.died("its process is gone")
        assert health.restart_at == clock.now + delay
        clock.now = health.restart_at
        health.restart()
        assert health.state == RESTARTING
        assert health.restart_at == float("inf")
    health.died("out of memory")
    health.restart()
    assert health.state == RETIRED
    assert "3 restarts within 3600 s" in health.reason
    assert health.reason.endswith("out of memory")


def test_a_restart_that_is_older_than_the_window_counts_no_longer(clock):
    health = engine(clock, max_restarts=1, restart_window_seconds=100.0)
    for _ in range(3):
        health.died("gone")
        assert health.restart_at == clock.now + 1.0
        health.restart()
        assert health.state == RESTARTING
        clock.now += 100.0


def test_an_impossible_passage_is_our_own_bug(clock):
    with pytest.raises(AssertionError, match="dead is none of"):
        engine(clock, DEAD).loaded()
    with pytest.raises(AssertionError, match="healthy is none of"):
        engine(clock).restart()


def test_too_few_serving_engines_are_borne_while_others_may_come_back_but_not_for_ever(clock):
    minimum = HealthyMinimum(EngineHealthConfig(min_healthy=2, recovery_seconds=60.0), clock=clock)
    fleet = [engine(clock), engine(clock, SUSPECT), engine(clock, DEAD)]
    assert minimum.problem(fleet) is None
    fleet[1].died("its process is gone")
    assert minimum.problem(fleet) is None
    clock.now += 60.0
    assert minimum.problem(fleet) is None
    clock.now += 1.0
    problem = minimum.problem(fleet)
    assert problem.startswith("gone\n")
    assert "rollout.health.min_healthy 2" in problem
    assert "61 s: 1 healthy, 2 dead" in problem


def test_the_time_below_the_minimum_begins_anew_once_it_was_reached(clock):
    minimum = HealthyMinimum(EngineHealthConfig(recovery_seconds=60.0), clock=clock)
    health = engine(clock, STALE)
    assert minimum.problem([health]) is None
    clock.now += 50.0
    health.loaded()
    assert minimum.problem([health]) is None
    health.outdated()
    assert minimum.problem([health]) is None
    clock.now += 50.0
    assert minimum.problem([health]) is None


def test_engines_that_were_given_up_leave_no_hope_and_end_the_run_at_once(clock):
    minimum = HealthyMinimum(EngineHealthConfig(), clock=clock)
    health = engine(clock, max_restarts=0)
    health.died("CUDA out of memory")
    health.restart()
    assert minimum.problem([health]).startswith("given up after 0 restarts")


def test_an_engine_asleep_answers_probes_and_serves_again_only_with_new_weights(clock):
    health = engine(clock)
    health.fell_asleep()
    health.probe_failed("no answer")
    assert health.state == ASLEEP
    health.probe_answered()
    assert health.state == ASLEEP
    health.outdated()
    assert health.state == STALE
    health.loaded()
    assert health.state == HEALTHY


def test_a_fleet_asleep_for_as_long_as_training_takes_is_not_a_fleet_that_is_lost(clock):
    minimum = HealthyMinimum(EngineHealthConfig(min_healthy=2, recovery_seconds=10), clock=clock)
    engines = [engine(clock, ASLEEP), engine(clock, ASLEEP)]
    assert minimum.problem(engines) is None
    clock.now += 3600
    assert minimum.problem(engines) is None
    engines[0].died("its process is gone")
    assert minimum.problem(engines) is None
    clock.now += 11
    assert minimum.problem(engines).startswith("its process is gone")
