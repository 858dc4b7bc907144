"""The quantile of differences from counts: by hand, over parts, and for what is no number."""

import pytest
import torch

from vr1_ray.training.differences import NUM_BINS, Differences, count_differences, quantile_of


def test_the_quantile_is_the_upper_edge_of_its_bin():
    # 98 of 0.01 and two of 0.5: 0.5 begins the bin that ends at 0.5 x 2^(1/8) = 0.5453.
    counts = count_differences(torch.tensor([0.01] * 98 + [0.5] * 2))
    assert counts.sum() == 100
    assert quantile_of(counts, 0.99) == pytest.approx(0.5453, abs=1e-4)
    assert 0.01 <= quantile_of(counts, 0.98) <= 0.0109
    assert quantile_of(torch.zeros(NUM_BINS), 0.99) == 0.0


def test_parts_add_up_to_the_quantile_of_the_whole_within_nine_hundredths():
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(20_000, generator=generator).abs() ** 3 / 10
    counts = sum(count_differences(part) for part in whole.split(777))
    assert torch.equal(counts, count_differences(whole))
    for share in (0.5, 0.9, 0.99, 0.999):
        exact = float(whole.quantile(share))
        assert exact * 0.99 <= quantile_of(counts, share) <= exact * 1.1


def test_what_lies_outside_or_is_no_number_is_counted():
    counts = count_differences(torch.tensor([0.0, 1e-30, 1e9, torch.inf, torch.nan]))
    assert (counts[0], counts[-1], counts.sum()) == (2, 3, 5)
    assert quantile_of(counts, 0.99) == 64.0


def test_a_steps_differences_are_mean_quantile_and_maximum():
    found = Differences()
    found.add(torch.tensor([0.1, 0.5]))
    found.add(torch.tensor([]))
    other = Differences()
    other.add(torch.tensor([0.3]))
    found.merge(other)
    metrics = found.over_ranks(torch.device("cpu"))
    assert metrics["logprob_diff/mean"] == pytest.approx(0.3)
    assert metrics["logprob_diff/p99"] == metrics["logprob_diff/max"] == pytest.approx(0.5)
    assert Differences().over_ranks(torch.device("cpu")) == {}
