import math
from dataclasses import replace

import pytest
import torch

from tests.unit.algorithms.samples import group
from vr1_ray.algorithms import TokenBatch, make_algorithm
from vr1_ray.algorithms.advantages import group_centred, group_normalised, leave_one_out
from vr1_ray.algorithms.losses import clipped_surrogate, k3_kl
from vr1_ray.config import AlgorithmConfig


def tokens(ratios, advantages, *, ref_shift=None):
    old = torch.full((len(ratios),), -1.0)
    logprobs = (old + torch.tensor(ratios).log()).requires_grad_()
    return TokenBatch(
        logprobs_N=logprobs,
        old_logprobs_N=old,
        ref_logprobs_N=None if ref_shift is None else logprobs.detach() + ref_shift,
        advantages_N=torch.tensor(advantages),
        entropy_N=torch.ones(len(ratios)),
        row_index_N=torch.zeros(len(ratios), dtype=torch.long),
    )


def test_group_normalised_advantages_divide_by_the_unbiased_deviation():
    # mean 0.25, squared deviations 0.5625 + 3 * 0.0625 = 0.75, over 3: std 0.5
    assert group_normalised([1, 0, 0, 0]) == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-5)


def test_other_advantages_by_hand():
    assert group_centred([1, 0, 0, 0]) == [0.75, -0.25, -0.25, -0.25]
    assert leave_one_out([1, 0, 0, 0]) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])


@pytest.mark.parametrize("function", [group_normalised, group_centred, leave_one_out])
def test_a_group_of_one_or_of_equal_rewards_has_no_advantage(function):
    assert function([1.0]) == [0.0]
    assert function([1.0, 1.0, 1.0]) == [0.0, 0.0, 0.0]
    # The mean of three tenths is not a tenth in float64, nor is a sum of parts the same in every order.
    assert function([0.1, 0.1, 0.1]) == [0.0, 0.0, 0.0]
    assert function([0.3, 0.1 + 0.2]) == [0.0, 0.0]


def test_groups_of_different_sizes_are_compared_each_within_itself():
    first, second = make_algorithm(AlgorithmConfig()).assign_advantages(
        [group(1, 0), group(1, 1, 1)]
    )
    assert [r.advantage for r in first.rollouts] == pytest.approx(
        [math.sqrt(0.5), -math.sqrt(0.5)], abs=1e-5
    )
    assert [r.advantage for r in second.rollouts] == [0, 0, 0]


def test_the_clip_takes_the_gradient_only_where_the_ratio_has_gone_far_enough():
    ratio_N, advantages_N = (
        torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1]),
        torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]),
    )
    loss_N, clipped_N = clipped_surrogate(ratio_N, advantages_N, clip_low=0.2, clip_high=0.2)
    torch.testing.assert_close(loss_N, torch.tensor([-1.2, 1.5, -0.5, 0.8, -1.1]))
    assert clipped_N.tolist() == [True, False, False, True, False]


def test_k3_by_hand_and_clamped():
    kl_N = k3_kl(torch.tensor([0.0, 0.0, 0.0]), torch.tensor([0.0, math.log(2.0), 100.0]))
    torch.testing.assert_close(kl_N, torch.tensor([0.0, 2 - math.log(2.0) - 1, 10.0]))


def test_grpo_adds_the_kl_term_and_reports_sums():
    batch = tokens([1.0, 1.5], [1.0, 1.0], ref_shift=math.log(2.0))
    loss_N, sums = make_algorithm(AlgorithmConfig(kl_coef=0.1)).loss(batch)
    kl = 1 - math.log(2.0)
    torch.testing.assert_close(loss_N, torch.tensor([-1.0 + 0.1 * kl, -1.2 + 0.1 * kl]))
    assert {name: round(float(value), 4) for name, value in sums.items()} == {
        "ratio": 2.5, "clip_fraction": 1.0, "entropy": 2.0, "kl": round(2 * kl, 4),
    }  # fmt: skip


def test_the_on_policy_gradient_is_minus_the_advantage():
    batch = tokens([1.0, 1.0], [2.0, -1.0])
    make_algorithm(AlgorithmConfig(kl_coef=0.0)).loss(batch)[0].sum().backward()
    torch.testing.assert_close(batch.logprobs_N.grad, torch.tensor([-2.0, 1.0]))


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "rloo"])
def test_the_entropy_bonus_is_taken_off_the_loss_and_raises_entropy(name):
    batch = tokens([1.0, 1.5], [1.0, 1.0])
    with_gradient = replace(batch, entropy_N=torch.tensor([0.5, 2.0], requires_grad=True))
    algorithm = make_algorithm(AlgorithmConfig(name=name, kl_coef=0.0, entropy_coef=0.1))
    assert algorithm.needs_entropy_gradient
    loss_N, sums = algorithm.loss(with_gradient)
    # -1 - 0.1 x 0.5 and, clipped at 1.2, -1.2 - 0.1 x 2
    torch.testing.assert_close(loss_N, torch.tensor([-1.05, -1.4]))
    loss_N.sum().backward()
    torch.testing.assert_close(with_gradient.entropy_N.grad, torch.tensor([-0.1, -0.1]))
    assert sums["entropy"] == 2.5
    assert not sums["entropy"].requires_grad


def test_without_the_bonus_entropy_is_no_part_of_the_loss():
    algorithm = make_algorithm(AlgorithmConfig(kl_coef=0.0))
    assert not algorithm.needs_entropy_gradient
    assert not make_algorithm(AlgorithmConfig(entropy_coef=0.1), kind="sft").needs_entropy_gradient
    batch = replace(tokens([1.0], [1.0]), entropy_N=torch.tensor([3.0], requires_grad=True))
    algorithm.loss(batch)[0].sum().backward()
    assert batch.entropy_N.grad is None


def test_cross_entropy_is_minus_the_log_probability_and_needs_no_reference():
    algorithm = make_algorithm(AlgorithmConfig(), kind="sft")
    loss_N, _ = algorithm.loss(tokens([1.0], [0.0]))
    torch.testing.assert_close(loss_N, torch.tensor([1.0]))
    assert not algorithm.needs_reference


def test_the_reference_is_needed_only_with_a_kl_term():
    assert make_algorithm(AlgorithmConfig(kl_coef=0.01)).needs_reference
    assert not make_algorithm(AlgorithmConfig(kl_coef=0.0)).needs_reference


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"algorithm.name='ppo' is unknown; known: cispo, dapo, dr_grpo, grpo"
    ):
        make_algorithm(AlgorithmConfig(name="ppo"))


def test_groups_without_an_advantage_are_left_out_only_if_asked_for_and_never_all():
    kept = make_algorithm(AlgorithmConfig())
    skips = make_algorithm(AlgorithmConfig(skip_uninformative_groups=True))
    mixed, all_right = kept.assign_advantages([group(1, 0, 0), group(1, 1, 1)])
    assert kept.select([mixed, all_right]) == [mixed, all_right]
    assert skips.select([mixed, all_right]) == [mixed]
    assert skips.select([all_right]) == [all_right]


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "rloo"])
def test_equal_rewards_are_no_information_whatever_rounding_makes_of_their_mean(name):
    skips = make_algorithm(AlgorithmConfig(name=name, skip_uninformative_groups=True))
    for size in range(2, 33):
        for reward in (0.1, 0.3, 0.7, 1.1, 1 / 3, 1e9 + 0.1):
            mixed, equal = skips.assign_advantages([group(1, 0), group(*[reward] * size)])
            assert skips.select([mixed, equal]) == [mixed], (size, reward)
