"""Where two algorithms must be the same: one-token responses, limits of temperatures, on-policy gradients."""

import pytest
import torch

from tests.unit.algorithms.samples import advantages_of, group, tokens
from vr1_ray.algorithms import ALGORITHMS, make_algorithm
from vr1_ray.config import AlgorithmConfig

RATIOS, ADVANTAGES = [0.5, 0.9, 1.0, 1.1, 1.5, 4.0] * 2, [1.0] * 6 + [-2.0] * 6
LEARNING = sorted(set(ALGORITHMS) - {"sft"})


def loss_and_gradient(name, *, ratios=None, rows=None, **settings):
    dapo = {"clip_high": 0.28} if name == "dapo" else {}
    config = AlgorithmConfig(**({"name": name, "kl_coef": 0.0} | dapo | settings))
    batch = tokens(ratios or RATIOS, ADVANTAGES, rows=rows)
    loss_N, _ = make_algorithm(config).loss(batch)
    loss_N.sum().backward()
    return loss_N.detach(), batch.logprobs_N.grad


def test_gspo_on_responses_of_one_token_is_grpo():
    rows = list(range(len(RATIOS)))
    for mine, theirs in zip(
        loss_and_gradient("gspo", rows=rows), loss_and_gradient("grpo"), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    assert not torch.equal(loss_and_gradient("gspo")[0], loss_and_gradient("grpo")[0])


@pytest.mark.parametrize("rewards", [(1, 0), (1, 0, 0), (0.3, 1.2, 0.9, 0.0), (1, 0, 1, 1, 0)])
def test_rloo_is_a_multiple_of_the_mean_only_advantage(rewards):
    made = [make_algorithm(AlgorithmConfig(name=name)) for name in ("rloo", "dr_grpo")]
    [rloo], [centred] = (advantages_of(one.assign_advantages([group(*rewards)])) for one in made)
    factor = len(rewards) / (len(rewards) - 1)
    assert rloo == pytest.approx([factor * advantage for advantage in centred])


def test_sapo_with_a_temperature_near_0_is_the_plain_policy_gradient():
    options = {"tau_positive": 1e-6, "tau_negative": 1e-6}
    _, gradient = loss_and_gradient("sapo", options=options)
    plain = -torch.tensor(RATIOS, dtype=torch.float64) * torch.tensor(ADVANTAGES)
    torch.testing.assert_close(gradient, plain, rtol=1e-5, atol=1e-8)


def test_sapo_with_a_high_temperature_learns_from_what_is_on_policy_alone():
    options = {"tau_positive": 1e4, "tau_negative": 1e4}
    _, gradient = loss_and_gradient("sapo", options=options)
    expected = [-a if ratio == 1.0 else 0.0 for ratio, a in zip(RATIOS, ADVANTAGES, strict=True)]
    assert gradient.tolist() == pytest.approx(expected, abs=1e-9)


def test_cispo_within_its_bounds_has_the_gradient_of_the_ratio():
    _, gradient = loss_and_gradient("cispo", clip_low=1.0, clip_high=100.0)
    plain = -torch.tensor(RATIOS, dtype=torch.float64) * torch.tensor(ADVANTAGES)
    torch.testing.assert_close(gradient, plain)


def test_the_dual_clip_does_nothing_where_advantages_are_positive_or_ratios_small():
    loss, gradient = loss_and_gradient("grpo")
    dual_loss, dual_gradient = loss_and_gradient("grpo", dual_clip=3.0)
    changed = [r > 3.0 and a < 0 for r, a in zip(RATIOS, ADVANTAGES, strict=True)]
    assert sum(changed) == 1
    assert (loss != dual_loss).tolist() == changed
    assert (gradient != dual_gradient).tolist() == changed


def test_dapo_is_grpo_with_its_bounds():
    for mine, theirs in zip(
        loss_and_gradient("dapo"), loss_and_gradient("grpo", clip_high=0.28), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", LEARNING)
def test_on_policy_every_gradient_is_minus_the_advantage(name):
    # Responses of several tokens too: GSPO shares a row's gradient among them evenly.
    rows = [0] * 3 + [1] * 3 + [2] * 6
    _, gradient = loss_and_gradient(name, ratios=[1.0] * 12, rows=rows)
    assert gradient.tolist() == pytest.approx([-a for a in ADVANTAGES])


@pytest.mark.parametrize("name", LEARNING)
def test_a_weight_of_one_changes_nothing(name):
    plain = loss_and_gradient(name)
    dapo = {"clip_high": 0.28} if name == "dapo" else {}
    config = AlgorithmConfig(name=name, kl_coef=0.0, importance_cap=2.0, **dapo)
    batch = tokens(RATIOS, ADVANTAGES, engine_shift=[0.0] * len(RATIOS))
    loss_N, sums = make_algorithm(config).loss(batch)
    torch.testing.assert_close(loss_N.detach(), plain[0])
    assert float(sums["importance/weight"]) == len(RATIOS)
    assert float(sums["importance/capped"]) == 0
