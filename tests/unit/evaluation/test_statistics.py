import math
from itertools import combinations

import pytest

from vr1_ray.evaluation.statistics import Score, bootstrap_interval, pass_at_k, wilson_interval


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 2), (5, 0, 3), (5, 5, 1), (6, 2, 4), (8, 3, 8)])
def test_pass_at_k_is_the_share_of_all_draws_that_hold_a_right_one(n, c, k):
    draws = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_pass_at_1_is_the_mean_and_wrong_numbers_are_refused():
    assert pass_at_k(8, 3, 1) == 3 / 8
    for n, c, k in ((4, 5, 1), (4, 1, 5), (4, 1, 0)):
        with pytest.raises(ValueError, match="pass@k"):
            pass_at_k(n, c, k)


def binomial_quantile(n, p, share):
    """The smallest count whose cumulative probability reaches `share`."""
    total = 0.0
    for count in range(n + 1):
        total += math.comb(n, count) * p**count * (1 - p) ** (n - count)
        if total >= share:
            return count
    return n


@pytest.mark.parametrize(("n", "c"), [(100, 30), (400, 360), (50, 25)])
def test_the_bootstrap_interval_of_zeros_and_ones_is_the_binomials(n, c):
    low, high = bootstrap_interval([1.0] * c + [0.0] * (n - c), num_resamples=20_000)
    # The resampled count is Binomial(n, c/n); 20,000 draws hit its quantiles to one count.
    assert low * n == pytest.approx(binomial_quantile(n, c / n, 0.025), abs=1.001)
    assert high * n == pytest.approx(binomial_quantile(n, c / n, 0.975), abs=1.001)


def test_ten_copies_of_a_question_are_not_ten_questions():
    values, clusters = [1.0, 0.0] * 20, [str(place) for place in range(40)]
    alone = bootstrap_interval(values, clusters)
    copied = bootstrap_interval(values * 10, clusters * 10)
    assert copied == alone
    ignored = bootstrap_interval(values * 10)
    assert ignored[1] - ignored[0] < 0.5 * (alone[1] - alone[0])


Z2 = 1.959963984540054**2


@pytest.mark.parametrize("n", [1, 2, 12, 300])
def test_none_or_all_of_n_have_wilsons_interval_and_not_a_point(n):
    assert bootstrap_interval([0.0] * n) == pytest.approx((0.0, Z2 / (n + Z2)))
    assert bootstrap_interval([1.0] * n) == pytest.approx((n / (n + Z2), 1.0))
    ten_each = [str(place % n) for place in range(10 * n)]  # ten variants of a question are one
    assert bootstrap_interval([0.0] * 10 * n, ten_each) == bootstrap_interval([0.0] * n)
    # a rate counts the questions in its denominator alone
    rate = Score(name="r", values=(0.0,) * n + (0.0,), clusters=tuple(map(str, range(n + 1))),
                 weights=(1.0,) * n + (0.0,))  # fmt: skip
    assert rate.interval() == pytest.approx((0.0, Z2 / (n + Z2)))


def test_wilsons_interval_of_a_half_is_the_textbooks():
    # n = 10, z = 1.96: centre 0.5, half width z / (1 + z^2/10) * sqrt(0.025 + z^2/400) = 0.2634
    assert wilson_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(0.0, 0) == (0.0, 1.0)


def test_a_seed_repeats_an_interval():
    assert bootstrap_interval([0.0, 1.0, 1.0]) == bootstrap_interval([0.0, 1.0, 1.0])


def test_a_score_with_weights_is_a_rate_of_its_own():
    score = Score(name="RM", values=(1.0, 0.0), clusters=("1", "2"), weights=(1.0, 1.0))
    assert score.value == 0.5
    assert Score(name="RM", values=(0.0,), clusters=("1",), weights=(0.0,)).value is None
