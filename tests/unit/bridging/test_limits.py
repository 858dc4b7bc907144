"""Requests and tokens a minute, on a clock that the test sets."""

import asyncio

from vr1_ray.bridging.limits import RateLimit


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_is_allowed_and_then_the_rate():
    clock = Clock()
    limit = RateLimit(requests_per_minute=60, tokens_per_minute=0, clock=clock)
    for _ in range(5):  # 60 a minute: five seconds' worth at once
        asyncio.run(asyncio.wait_for(limit.wait(), 1))
    assert limit.seconds_to_wait() == 1.0
    clock.now = 0.75
    assert abs(limit.seconds_to_wait() - 0.25) < 1e-9
    clock.now = 1.0
    assert limit.seconds_to_wait() == 0.0


def test_tokens_are_charged_after_the_request_and_worked_off():
    clock = Clock()
    limit = RateLimit(requests_per_minute=0, tokens_per_minute=6000, clock=clock)  # 100 a second
    limit.charge(700)  # 500 were free
    assert abs(limit.seconds_to_wait() - 2.0) < 1e-9
    clock.now = 2.0
    assert limit.seconds_to_wait() == 0.0


def test_without_limits_nothing_waits():
    limit = RateLimit(requests_per_minute=0, tokens_per_minute=0, clock=Clock())
    limit.charge(10**9)
    assert limit.seconds_to_wait() == 0.0
