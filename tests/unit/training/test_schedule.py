"""A run that is resumed with another length: the learning rate does not jump, and still ends at 0."""

import math
from itertools import pairwise

import pytest

from vr1_ray.config import OptimizerConfig
from vr1_ray.training.schedule import first_horizon, learning_rate, resumed_horizon

COSINE = OptimizerConfig(lr=2.0, schedule="cosine")


def rates(config, horizon, updates):
    return [learning_rate(config, update, horizon) for update in updates]


def test_a_lengthened_cosine_goes_on_from_the_rate_it_has():
    # 50 of 100 updates are done: 0.5 of the peak. As if planned for 200 it would be at 0.5 (1 + cos(pi / 4)) = 0.854.
    longer = resumed_horizon(COSINE, first_horizon(COSINE, 100), 50, 200)
    assert learning_rate(COSINE, 50, longer) == pytest.approx(2.0 * 0.5)
    # Half of the 150 that are left: half of what it had.
    assert learning_rate(COSINE, 125, longer) == pytest.approx(2.0 * 0.25)
    assert learning_rate(COSINE, 200, longer) == pytest.approx(0.0)
    left = rates(COSINE, longer, range(50, 201))
    assert left == sorted(left, reverse=True)


def test_lengthening_twice_jumps_at_neither():
    once = resumed_horizon(COSINE, first_horizon(COSINE, 100), 50, 200)
    twice = resumed_horizon(COSINE, once, 125, 300)
    assert learning_rate(COSINE, 125, twice) == pytest.approx(learning_rate(COSINE, 125, once))
    assert learning_rate(COSINE, 300, twice) == pytest.approx(0.0)


def test_a_run_that_was_done_rises_to_where_a_run_of_that_length_would_be():
    # 100 updates are left of 200, so it rises over 10; then 0.5 (1 + cos(pi u / 200)) as from the start.
    further = resumed_horizon(COSINE, first_horizon(COSINE, 100), 100, 200)
    whole = first_horizon(COSINE, 200)
    assert learning_rate(COSINE, 100, further) == pytest.approx(2.0 * 0.1 * 0.5)
    assert learning_rate(COSINE, 109, further) == pytest.approx(learning_rate(COSINE, 109, whole))
    assert learning_rate(COSINE, 150, further) == pytest.approx(1 + math.cos(math.pi * 0.75))
    steps = rates(COSINE, further, range(99, 201))
    assert max(abs(b - a) for a, b in pairwise(steps)) < 0.06 * 2.0


def test_a_run_lengthened_while_it_warms_up_warms_up_as_it_began():
    config = OptimizerConfig(lr=1.0, schedule="cosine", warmup_ratio=0.1)
    longer = resumed_horizon(config, first_horizon(config, 100), 4, 200)
    assert rates(config, longer, [4, 9, 10]) == pytest.approx([0.5, 1.0, 1.0])
    assert learning_rate(config, 200, longer) == pytest.approx(0.0)


def test_a_run_of_the_same_length_goes_on_with_the_very_same_rates():
    first = first_horizon(COSINE, 100)
    assert resumed_horizon(COSINE, first, 50, 100) is first


def test_a_constant_rate_stays_whatever_the_length():
    config = OptimizerConfig(lr=1.0, warmup_ratio=0.1)
    longer = resumed_horizon(config, first_horizon(config, 100), 100, 200)
    assert rates(config, longer, [100, 150, 199]) == [1.0, 1.0, 1.0]
