"""How long a service that is down is waited for: hand-worked, with a clock of the test's own."""

from vr1_ray.actors.rewards.outages import Outages


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def outages(notes, limit=900.0):
    clock = Clock()
    return clock, Outages("judge", limit_seconds=limit, note=notes.append, clock=clock)


def test_the_pauses_double_to_half_a_minute_and_end_with_the_limit():
    clock, down = outages([])
    pauses = []
    while (at := down.retry_at(tries=len(pauses) + 1, failed_first=1000.0, reason="x")) is not None:
        pauses.append(at - clock.now)
        clock.now = at
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert 1000 + 900 <= clock.now < 1000 + 900 + 30


def test_it_is_told_once_when_a_second_try_fails_and_once_when_the_service_answers():
    notes = []
    clock, down = outages(notes)
    down.retry_at(tries=1, failed_first=1000.0, reason="no connection\ntraceback")
    assert notes == []
    for tries in (2, 3):
        clock.now += 10
        down.retry_at(tries=tries, failed_first=1000.0, reason="no connection\ntraceback")
    clock.now += 10
    down.answered()
    down.answered()
    assert notes == [
        "ALARM reward pool judge: no connection; it is waited for, up to 900 s "
        "(reward_pools.judge.outage_seconds)",
        "reward pool judge: its rewards are there again after 30 s",
    ]
    assert down.num_outages == 1


def test_one_response_without_reward_is_waited_for_three_times_while_others_are_answered():
    notes = []
    clock, down = outages(notes)
    found = []
    for tries in range(1, 6):
        at = down.retry_at(tries=tries, failed_first=1000.0, reason="x")
        clock.now += 1
        down.answered()
        found.append(at is not None)
    assert found == [True, True, True, False, False]
    assert notes == []


def test_a_limit_of_zero_waits_for_nothing():
    _, down = outages([], limit=0.0)
    assert down.retry_at(tries=1, failed_first=1000.0, reason="x") is None
