"""Chunked log-probabilities are those of the plain, full computation."""

import pytest
import torch

from tests.unit.training.sample_rows import model_config, sample_rows, tiny_adapter
from vr1_ray.config import TrainerConfig
from vr1_ray.training.logprobs import ResponseLogprobs
from vr1_ray.training.reference import ReferencePolicy

BANNED = (1, 5)


def plain(head, hidden_ND, ids_N, temperature_N):
    logits = head(hidden_ND).float() / temperature_N[:, None]
    logits[:, list(BANNED)] = -torch.inf
    logprobs_NV = logits.log_softmax(-1)
    allowed = [i for i in range(logits.shape[1]) if i not in BANNED]
    kept = logprobs_NV[:, allowed]
    return logprobs_NV.gather(1, ids_N[:, None])[:, 0], -(kept.exp() * kept).sum(-1)


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 20, bias=False)
    hidden_ND = torch.randn(13, 8, requires_grad=True)
    return head, hidden_ND, torch.arange(6, 19), torch.linspace(0.5, 1.5, 13)


@pytest.mark.parametrize("chunk_tokens", [1, 4, 13, 100])
def test_values_and_gradients_do_not_depend_on_the_chunks(inputs, chunk_tokens):
    head, hidden_ND, ids_N, temperature_N = inputs
    logprobs, entropy = ResponseLogprobs(head, BANNED, chunk_tokens)(
        hidden_ND, ids_N, temperature_N
    )
    expected, expected_entropy = plain(head, hidden_ND, ids_N, temperature_N)
    torch.testing.assert_close(logprobs, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(entropy, expected_entropy, rtol=1e-6, atol=1e-6)
    weights = torch.linspace(-1, 1, 13)
    parameters = [hidden_ND, head.weight]
    found = torch.autograd.grad((logprobs * weights).sum(), parameters)
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert not entropy.requires_grad


def test_banned_ids_hold_no_probability(inputs):
    head, hidden_ND, ids_N, temperature_N = inputs
    module = ResponseLogprobs(head, BANNED, 4)
    everything = [module(hidden_ND, torch.full_like(ids_N, i), temperature_N)[0] for i in range(20)]
    total = torch.stack(everything).exp().sum(0)
    torch.testing.assert_close(total, torch.ones(13))
    assert everything[1].isneginf().all()


def test_entropy_comes_with_its_gradient_if_asked_for_and_not_at_all_if_not(inputs):
    head, hidden_ND, ids_N, temperature_N = inputs
    module = ResponseLogprobs(head, BANNED, 4)
    logprobs, entropy = module(hidden_ND, ids_N, temperature_N)
    scored, nothing = module(hidden_ND, ids_N, temperature_N, "none")
    assert nothing is None
    assert torch.equal(scored, logprobs)
    logprobs, with_gradient = module(hidden_ND, ids_N, temperature_N, "gradient")
    torch.testing.assert_close(with_gradient, entropy, rtol=1e-6, atol=1e-6)
    _, expected = plain(head, hidden_ND, ids_N, temperature_N)
    found = torch.autograd.grad(with_gradient.sum(), [hidden_ND, head.weight])
    wanted = torch.autograd.grad(expected.sum(), [hidden_ND, head.weight])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_tokens_give_no_logprobs_and_keep_the_graph(inputs):
    head, hidden_ND, ids_N, temperature_N = inputs
    logprobs, _ = ResponseLogprobs(head, BANNED, 4)(hidden_ND[:0], ids_N[:0], temperature_N[:0])
    logprobs.sum().backward()
    assert head.weight.grad is not None


def test_the_reference_scores_rows_in_their_order_whatever_the_budget():
    adapter = tiny_adapter()
    rows, images = sample_rows(adapter)
    found = []
    for budget in (64, 8192):
        trainer = TrainerConfig(max_tokens_per_micro_batch=budget)
        found.append(
            ReferencePolicy(model=model_config(), trainer=trainer).compute_logprobs(rows, images)
        )
    for narrow, wide, row in zip(*found, rows, strict=True):
        assert len(narrow) == len(row.response_ids)
        assert narrow == pytest.approx(wide, abs=1e-4)
