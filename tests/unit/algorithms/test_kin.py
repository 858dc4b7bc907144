"""GRPO's kin by hand-worked numbers: ratios, clips, gates, weights, what responses are worth."""

import math

import pytest
import torch

from tests.unit.algorithms.samples import advantages_of, group, tokens
from vr1_ray.algorithms import make_algorithm
from vr1_ray.algorithms.advantages import step_normalised
from vr1_ray.algorithms.losses import clipped_surrogate, k1_kl, k2_kl, k3_kl, sequence_ratio
from vr1_ray.config import AlgorithmConfig


def algorithm(name="grpo", **settings):
    return make_algorithm(AlgorithmConfig(**({"name": name, "kl_coef": 0.0} | settings)))


def loss_and_gradient(found, batch):
    loss_N, sums = found.loss(batch)
    loss_N.sum().backward()
    means = {name: float(value) / len(loss_N) for name, value in sums.items()}
    return loss_N.tolist(), batch.logprobs_N.grad.tolist(), means


def test_the_ratio_of_a_response_is_the_geometric_mean_of_its_tokens():
    # row 0: sqrt(4 x 1) = 2; row 1: cube root of 8 x 1/8 x 27 = 3; tokens of rows may lie anywhere
    ratios, rows = torch.tensor([4.0, 8.0, 1.0, 1 / 8, 27.0]), torch.tensor([0, 1, 0, 1, 1])
    found = sequence_ratio(ratios.log(), torch.zeros(5), rows)
    torch.testing.assert_close(found, torch.tensor([2.0, 3.0, 2.0, 3.0, 3.0]))


def test_gspo_clips_whole_responses():
    # row 0: s = sqrt(1.44) = 1.2, inside 1.3, though a ratio of 1.44 is not; row 1: s = 2, clipped at 1.3
    batch = tokens([1.44, 1.0, 4.0, 1.0], [1.0] * 4, rows=[0, 0, 1, 1])
    loss, gradient, means = loss_and_gradient(algorithm("gspo", clip_high=0.3), batch)
    assert loss == pytest.approx([-1.2, -1.2, -1.3, -1.3])
    # two tokens of loss -s, each with d s / d log pi_t = s / 2
    assert gradient == pytest.approx([-1.2, -1.2, 0.0, 0.0])
    assert means == {"clip_fraction": 0.5, "ratio": pytest.approx(1.6), "entropy": 1.0, "kl": 0.0}


def test_cispo_bounds_the_weight_of_a_token_and_takes_no_gradient_away():
    batch = tokens([3.0, 0.5, 1.0], [1.0, -2.0, 1.0])
    loss, gradient, means = loss_and_gradient(
        algorithm("cispo", clip_low=0.4, clip_high=1.0), batch
    )
    # weights 2, 0.6 and 1; the loss is -weight A log pi with log pi = -1 + log(ratio)
    assert loss == pytest.approx([-2 * (-1 + math.log(3)), 1.2 * (-1 + math.log(0.5)), 1.0])
    assert gradient == pytest.approx([-2.0, 1.2, -1.0])
    assert means["clip_fraction"] == pytest.approx(2 / 3)


def test_cispo_without_a_lower_bound_clips_only_large_weights():
    batch = tokens([6.0, 0.001], [1.0, 1.0])
    _, gradient, means = loss_and_gradient(algorithm("cispo", clip_low=1.0, clip_high=4.0), batch)
    assert gradient == pytest.approx([-5.0, -0.001])
    assert means["clip_fraction"] == 0.5


def test_sapo_gates_softly_and_negative_advantages_more():
    options = {"tau_positive": 1.0, "tau_negative": 2.0}
    batch = tokens([2.0, 2.0, 1.0], [1.0, -1.0, 1.0])
    loss, gradient, means = loss_and_gradient(algorithm("sapo", options=options), batch)
    # sigmoid(1) = 0.731059, sigmoid(2) = 0.880797, sigmoid(0) = 1/2; times 4, and 4 / 2
    assert loss == pytest.approx([-2.924234, 1.761594, -2.0], abs=1e-6)
    # -A rho 4 p (1 - p): 2 x 0.786448 and 2 x 0.419974; on policy -A
    assert gradient == pytest.approx([-1.572896, 0.839949, -1.0], abs=1e-6)
    assert means["gate"] == pytest.approx((0.786448 + 0.419974 + 1) / 3, abs=1e-6)
    assert "clip_fraction" not in means


@pytest.mark.parametrize("tau", [0, -1.0, math.inf, math.nan, "hot", True])
def test_a_temperature_that_is_no_number_above_0_is_refused(tau):
    with pytest.raises(ValueError, match=r"algorithm\.options\.tau_negative=.*above 0"):
        algorithm("sapo", options={"tau_negative": tau})


def test_the_dual_clip_bounds_the_loss_of_bad_tokens_alone():
    ratio_N, advantages_N = (
        torch.tensor([5.0, 2.0, 5.0, 0.5]),
        torch.tensor([-1.0, -1.0, 1.0, -1.0]),
    )
    loss_N, clipped_N = clipped_surrogate(
        ratio_N, advantages_N, clip_low=0.2, clip_high=0.2, dual_clip=3.0
    )
    torch.testing.assert_close(loss_N, torch.tensor([3.0, 2.0, -1.2, 0.8]))
    assert clipped_N.tolist() == [True, False, True, True]


def test_the_three_estimates_of_a_kl():
    logprobs, ref = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([math.log(2), -math.log(2), 100.0])
    log2 = math.log(2)
    torch.testing.assert_close(k1_kl(logprobs, ref), torch.tensor([-log2, log2, -10.0]))
    torch.testing.assert_close(k2_kl(logprobs, ref), torch.tensor([log2**2 / 2, log2**2 / 2, 10.0]))
    torch.testing.assert_close(k3_kl(logprobs, ref), torch.tensor([1 - log2, log2 - 0.5, 10.0]))


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_estimates_agree_on_average_where_policies_are_near(estimator):
    policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    ref = torch.tensor([0.48, 0.31, 0.21], dtype=torch.float64).log()
    estimate = {"k1": k1_kl, "k2": k2_kl, "k3": k3_kl}[estimator](policy, ref)
    exact = float((policy.exp() * (policy - ref)).sum())
    assert float((policy.exp() * estimate).sum()) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(("estimator", "kl"), [("k1", -0.5), ("k2", 0.125), ("k3", 0.148721)])
def test_the_loss_takes_the_estimate_that_the_config_says(estimator, kl):
    batch = tokens([1.0], [1.0], ref_shift=0.5)
    loss, _, means = loss_and_gradient(algorithm(kl_coef=0.1, kl_estimator=estimator), batch)
    assert loss == pytest.approx([-1 + 0.1 * kl], abs=1e-6)
    assert means["kl"] == pytest.approx(kl, abs=1e-6)


def test_a_kl_in_the_reward_is_no_term_of_the_loss_but_still_a_metric():
    batch = tokens([1.0], [1.0], ref_shift=0.5)
    loss, _, means = loss_and_gradient(algorithm(kl_coef=0.1, kl_in="reward"), batch)
    assert loss == [-1.0]
    assert means["kl"] == pytest.approx(math.exp(0.5) - 1.5)


KL_GROUP = group(
    1,
    0,
    lengths=[2, 1],
    rollout_logprobs=[(-1.0, -2.0), (-1.0,)],
    ref_logprobs=[(-1.5, -2.5), (-0.5,)],
)


@pytest.mark.parametrize(
    ("estimator", "rewards"),
    [("k1", [1 - 0.1 * 1.0, 0.1 * 0.5]), ("k2", [1 - 0.1 * 0.25, -0.1 * 0.125])],
)
def test_a_kl_in_the_reward_is_the_sum_over_the_response(estimator, rewards):
    found = algorithm("rloo", kl_coef=0.1, kl_in="reward", kl_estimator=estimator)
    assert found.kl_in_reward
    assert found.rewards_G(KL_GROUP) == pytest.approx(rewards)
    # Leave one out of two: the difference, and its negative.
    difference = rewards[0] - rewards[1]
    assert advantages_of(found.assign_advantages([KL_GROUP])) == [
        pytest.approx([difference, -difference])
    ]
    assert KL_GROUP.rewards_G == [1, 0]  # what is saved and reported stays the reward


@pytest.mark.parametrize(
    "name",
    ["grpo", "cispo", "dr_grpo", "gspo", "rloo", "sapo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"],
)  # fmt: skip
def test_every_algorithm_sees_a_kl_in_the_reward(name):
    plain = algorithm(name, kl_coef=1.0).assign_advantages([KL_GROUP, group(1, 1)])
    with_kl = algorithm(name, kl_coef=1.0, kl_in="reward", kl_estimator="k1")
    shifted = with_kl.assign_advantages([KL_GROUP])
    # Rewards 1 and 0 less KL 1 and -0.5: the first is the worse one now.
    assert advantages_of(plain)[0][0] > 0 > advantages_of(plain)[0][1]
    assert advantages_of(shifted)[0][0] < 0 < advantages_of(shifted)[0][1]


def test_a_kl_in_the_reward_needs_the_log_probabilities_it_is_made_of():
    found = algorithm(kl_coef=0.1, kl_in="reward")
    with pytest.raises(ValueError, match="rollout 0: the KL in its reward needs"):
        found.assign_advantages([group(1, 0)])


def test_without_a_coefficient_nothing_is_taken_off_the_reward():
    found = algorithm(kl_coef=0.0, kl_in="reward")
    assert not found.kl_in_reward
    assert found.rewards_G(group(1, 0)) == [1, 0]


def test_the_step_is_normalised_over_its_tokens():
    # 3 tokens of 1 and 1 of 0: mean 0.75, variance 0.75 x 0.25
    found = step_normalised([1.0, 0.0], [3, 1])
    assert found == pytest.approx([0.25 / math.sqrt(0.1875), -0.75 / math.sqrt(0.1875)], rel=1e-4)


def test_reinforce_plus_plus_compares_all_responses_of_the_step():
    groups = algorithm("reinforce_plus_plus").assign_advantages([group(1, 1), group(1, 0)])
    # mean 0.75, std sqrt(0.1875) over four tokens: a group of equal rewards is better than the step
    assert advantages_of(groups) == [
        pytest.approx([0.57735, 0.57735], abs=1e-4),
        pytest.approx([0.57735, -1.73205], abs=1e-4),
    ]


def test_its_baseline_form_takes_off_the_groups_mean_first():
    found = algorithm("reinforce_plus_plus_baseline").assign_advantages([group(1, 1), group(1, 0)])
    # 0, 0, 0.5, -0.5: mean 0, std sqrt(0.5 / 4)
    assert advantages_of(found) == [
        [0.0, 0.0],
        pytest.approx([math.sqrt(2), -math.sqrt(2)], abs=1e-4),
    ]


@pytest.mark.parametrize("name", ["reinforce_plus_plus", "reinforce_plus_plus_baseline"])
def test_a_step_of_equal_rewards_has_no_advantage(name):
    found = algorithm(name).assign_advantages([group(0.1, 0.1, 0.1), group(0.1, 0.1)])
    assert advantages_of(found) == [[0.0] * 3, [0.0] * 2]


def test_a_token_weighs_what_the_trainer_gives_it_over_what_the_engine_did():
    # old / engine: e^-0.5, 1, e^1 (above 2)
    batch = tokens([1.0] * 3, [1.0, 1.0, -1.0], engine_shift=[0.5, 0.0, -1.0])
    loss, gradient, means = loss_and_gradient(algorithm(importance_cap=2.0), batch)
    assert loss == pytest.approx([-math.exp(-0.5), -1.0, 2.0])
    assert gradient == pytest.approx([-math.exp(-0.5), -1.0, 2.0])
    assert means["importance/weight"] == pytest.approx((math.exp(-0.5) + 3) / 3)
    assert means["importance/capped"] == pytest.approx(1 / 3)


def test_a_response_weighs_the_product_of_its_tokens():
    # row 0: e^(0.5 - 0.2) = e^0.3; row 1: e^1, above 2
    batch = tokens([1.0] * 3, [1.0] * 3, engine_shift=[-0.5, 0.2, -1.0], rows=[0, 0, 1])
    found = algorithm(importance_cap=2.0, importance_level="sequence")
    loss, _, means = loss_and_gradient(found, batch)
    assert loss == pytest.approx([-math.exp(0.3), -math.exp(0.3), -2.0])
    assert means["importance/capped"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "name", ["cispo", "dr_grpo", "gspo", "rloo", "sapo", "reinforce_plus_plus"]
)
def test_the_weight_is_the_same_for_all_and_leaves_kl_and_entropy_alone(name):
    settings = {"kl_coef": 0.1, "entropy_coef": 0.01, "kl_estimator": "k2"}
    batch = tokens([1.0], [1.0], engine_shift=[-math.log(1.5)], ref_shift=1.0)
    plain, *_ = loss_and_gradient(algorithm(name, **settings), batch)
    bare = plain[0] - 0.1 * 0.5 + 0.01
    weighted, *_ = loss_and_gradient(algorithm(name, importance_cap=2.0, **settings), batch)
    assert weighted == pytest.approx([1.5 * bare + 0.1 * 0.5 - 0.01])


def test_the_engines_log_probabilities_are_asked_for_only_with_a_cap():
    assert algorithm(importance_cap=2.0).needs_rollout_logprobs
    assert not algorithm().needs_rollout_logprobs
    handed_down = AlgorithmConfig(importance_cap=2.0, kl_coef=0.1, kl_in="reward")
    cold_start = make_algorithm(handed_down, kind="sft")
    assert not cold_start.needs_rollout_logprobs
    assert not cold_start.kl_in_reward


def test_dapo_is_held_to_its_name_with_every_cure_at_once():
    with pytest.raises(
        ValueError, match=r"set algorithm\.clip_high above clip_low 0\.2, such as 0\.28,"
    ) as raised:
        algorithm("dapo", kl_coef=0.01, loss_aggregation="sequence_mean")
    assert "algorithm.kl_coef=0, algorithm.loss_aggregation=token_mean" in str(raised.value)


def test_dapo_clips_higher_than_lower():
    batch = tokens([1.27, 1.5, 0.7], [1.0, 1.0, -1.0])
    loss, gradient, _ = loss_and_gradient(algorithm("dapo", clip_high=0.28), batch)
    assert loss == pytest.approx([-1.27, -1.28, 0.8])
    assert gradient == pytest.approx([-1.27, 0.0, 0.0])
