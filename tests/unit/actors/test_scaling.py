"""When a pool of actors, and a fleet of engines, grows and shrinks: hand-worked decisions."""

from vr1_ray.actors.scaling import EngineScaler, QueueScaler


def decide(scaler, now, *, running, busy=0, queued=0):
    decision = scaler.decide(now=now, running=running, busy=busy, queued=queued)
    return None if decision is None else decision[0]


def test_a_queue_within_four_calls_an_actor_changes_nothing():
    assert decide(QueueScaler(least=1, most=8), 0.0, running=2, busy=2, queued=8) is None


def test_a_longer_queue_starts_as_many_actors_as_it_fills():
    assert decide(QueueScaler(least=1, most=8), 0.0, running=2, busy=2, queued=9) == 3
    assert decide(QueueScaler(least=1, most=8), 0.0, running=1, busy=1, queued=17) == 5


def test_the_pool_never_grows_past_its_most():
    assert decide(QueueScaler(least=1, most=3), 0.0, running=1, busy=1, queued=100) == 3
    assert decide(QueueScaler(least=1, most=3), 0.0, running=3, busy=3, queued=100) is None


def test_an_idle_actor_goes_after_thirty_seconds_and_the_next_after_thirty_more():
    scaler = QueueScaler(least=1, most=8)
    assert decide(scaler, 0.0, running=3, busy=3, queued=0) is None
    assert decide(scaler, 29.0, running=3, busy=1) is None
    assert decide(scaler, 30.0, running=3, busy=1) == 2
    assert decide(scaler, 59.0, running=2, busy=1) is None
    assert decide(scaler, 60.0, running=2, busy=1) == 1


def test_a_moment_with_all_actors_busy_begins_the_idle_time_anew():
    scaler = QueueScaler(least=1, most=8)
    assert decide(scaler, 0.0, running=2, busy=1) is None
    assert decide(scaler, 20.0, running=2, busy=2) is None
    assert decide(scaler, 45.0, running=2, busy=1) is None
    assert decide(scaler, 50.0, running=2, busy=0) == 1


def test_the_pool_never_shrinks_below_its_least():
    scaler = QueueScaler(least=2, most=8)
    assert decide(scaler, 0.0, running=2) is None
    assert decide(scaler, 1000.0, running=2) is None


def test_a_decision_says_why():
    number, reason = QueueScaler(least=1, most=8).decide(now=0.0, running=1, busy=1, queued=12)
    assert (number, reason) == (3, "12 calls wait for 1 actors")


def steps(scaler, number, *, running, step=10.0, wait, busy):
    """The last decision after so many equal steps, without its reason."""
    for _ in range(number):
        decision = scaler.decide(
            running=running, step_seconds=step, wait_seconds=wait, busy_seconds=busy
        )
    return None if decision is None else decision[0]


def test_an_engine_joins_after_two_steps_in_which_the_trainer_waits_and_the_engines_work():
    scaler = EngineScaler(least=1, most=3)
    assert steps(scaler, 1, running=1, wait=8.0, busy=7.5) is None
    assert steps(scaler, 1, running=1, wait=8.0, busy=7.5) == 2
    assert steps(scaler, 1, running=2, wait=8.0, busy=7.5) is None


def test_a_trainer_that_waits_for_one_long_response_gets_no_engine_for_it():
    # 8 of 10 seconds, of which the engines have requests for 4 on average: the rest is one engine's tail.
    assert steps(EngineScaler(least=1, most=3), 5, running=2, wait=8.0, busy=4.0) is None


def test_an_engine_leaves_when_the_trainer_would_not_wait_long_without_it_either():
    # Two engines, 2 of 10 s waited: one would take 4 of 12 s, a third, which is below 0.4.
    assert steps(EngineScaler(least=1, most=3), 2, running=2, wait=2.0, busy=2.0) == 1
    # 3 of 10 s: one engine would take 6 of 13 s, nearly a half.
    assert steps(EngineScaler(least=1, most=3), 5, running=2, wait=3.0, busy=3.0) is None


def test_one_step_that_says_otherwise_begins_the_count_anew():
    scaler = EngineScaler(least=1, most=3)
    assert steps(scaler, 1, running=1, wait=8.0, busy=8.0) is None
    assert steps(scaler, 1, running=1, wait=5.0, busy=5.0) is None
    assert steps(scaler, 1, running=1, wait=8.0, busy=8.0) is None


def test_the_number_of_engines_never_passes_its_bounds_and_returns_into_them():
    assert steps(EngineScaler(least=1, most=2), 5, running=2, wait=9.0, busy=9.0) is None
    assert steps(EngineScaler(least=1, most=2), 5, running=1, wait=0.1, busy=0.1) is None
    assert steps(EngineScaler(least=2, most=4), 2, running=1, wait=5.0, busy=5.0) == 2
    assert steps(EngineScaler(least=2, most=4), 2, running=6, wait=5.0, busy=5.0) == 4


def test_growing_then_shrinking_for_equal_work_does_not_alternate():
    # Sampling takes 9 s of one engine, the rest of a step 4 s; it halves with two.
    assert steps(EngineScaler(least=1, most=2), 2, running=1, step=13.0, wait=9.0, busy=9.0) == 2
    assert steps(EngineScaler(least=1, most=2), 9, running=2, step=8.5, wait=4.5, busy=4.5) is None
