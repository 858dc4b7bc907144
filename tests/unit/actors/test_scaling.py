"""When a pool of actors grows and shrinks: hand-worked decisions of the queue scaler."""

from vr1_ray.actors.scaling import QueueScaler


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
