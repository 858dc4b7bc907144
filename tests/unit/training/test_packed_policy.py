"""Packed groups have the log-probabilities and gradients of their rows, one at a time, by transformers' own forward."""

from dataclasses import replace

import pytest
import torch

from tests.builders import TINY_MODEL, plain_logits, prompt, save_random_tiny_model
from vr1_ray.config import ModelConfig
from vr1_ray.models import load_adapter
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.policy_model import PolicyModel
from vr1_ray.training.scoring import MicroBatches
from vr1_ray.types import TrainRow

CPU = torch.device("cpu")
WINDOWS = {
    "use_sliding_window": True,
    "sliding_window": 24,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
MODELS = {
    "vr1-tiny": None,
    "random": {},
    "shared heads": {"num_key_value_heads": 1},
    "windows": WINDOWS,
}
# Pictures of a prompt, and its responses' lengths. A group of one is a demonstration; lengths far apart are padded in
# attention by rectangles of their own.
GROUPS = ((1, (5, 1, 20)), (0, (12, 9)), (2, (30,)), (4, (2, 110, 3, 40)), (0, (7,)), (1, (90, 8)))


@pytest.fixture(scope="module", params=MODELS)
def config(request, tmp_path_factory):
    settings = MODELS[request.param]
    folder = TINY_MODEL
    if settings is not None:
        folder = save_random_tiny_model(tmp_path_factory.mktemp("model"), **settings)
    return ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176)


@pytest.fixture(scope="module")
def groups():
    return [
        (prompt(seed, num_images=pictures, size=(56, 28 + 28 * (seed % 3))), lengths)
        for seed, (pictures, lengths) in enumerate(GROUPS)
    ]


def rows_of(adapter, groups):
    generator = torch.Generator().manual_seed(0)
    return [
        TrainRow(
            row_id=f"{row.prompt_id}/{index}",
            prompt_ids=adapter.render(row).prompt_ids,
            response_ids=tuple(torch.randint(20, 500, (length,), generator=generator).tolist()),
            image_hashes=tuple(image.content_hash for image in row.images),
            advantage=float(torch.randn((), generator=generator)),
        )
        for row, lengths in groups
        for index, length in enumerate(lengths)
    ]


def packed(adapter, policy, groups, max_tokens):
    """Log-probabilities by row id, and the gradients of their sum times advantages."""
    rows = rows_of(adapter, groups)
    images = {image.content_hash: image for row, _ in groups for image in row.images}
    vision = VisionInputs(adapter, images)
    batches = MicroBatches(rows, vision, adapter, max_tokens=max_tokens, device=CPU)
    found = {}
    policy.zero_grad()
    for place in range(len(batches)):
        _, batch = batches.make(place)
        logprobs_N, _ = policy(batch)
        weights_N = batch.per_row(lambda row: row.advantage)[batch.row_index_N]
        (logprobs_N * weights_N).sum().backward()
        parts = logprobs_N.detach().split(batch.row_lengths_B.tolist())
        found |= {row.row_id: part for row, part in zip(batch.rows, parts, strict=True)}
    return found, gradients_of(policy.model), len(batches)


def alone(adapter, groups):
    """The same by transformers, a row at a time."""
    model = adapter.load_model(dtype=torch.float32, attention="sdpa")
    rows = iter(rows_of(adapter, groups))
    found = {}
    for shown, lengths in groups:
        for row in (next(rows) for _ in lengths):
            logits_TV = plain_logits(adapter, model, shown, row.response_ids)
            logits_TV = logits_TV[len(row.prompt_ids) - 1 : -1].index_fill(
                1, torch.tensor(adapter.banned_ids), -torch.inf
            )
            ids_T = torch.tensor(row.response_ids)
            logprobs_T = logits_TV.log_softmax(-1).gather(1, ids_T[:, None])[:, 0]
            (logprobs_T.sum() * row.advantage).backward()
            found[row.row_id] = logprobs_T.detach()
    return found, gradients_of(model)


def gradients_of(model):
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


def assert_same(found, expected):
    (logprobs, gradients), (expected_logprobs, expected_gradients) = found, expected
    assert logprobs.keys() == expected_logprobs.keys()
    for row_id, logprobs_T in logprobs.items():
        torch.testing.assert_close(logprobs_T, expected_logprobs[row_id], rtol=1e-5, atol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    largest = max(gradient.abs().max() for gradient in expected_gradients.values())
    for name, gradient in gradients.items():
        assert (gradient - expected_gradients[name]).abs().max() <= 1e-5 * largest, name


@pytest.fixture(scope="module")
def expected(config, groups):
    return alone(load_adapter(config), groups)


@pytest.mark.parametrize(
    ("attention", "is_checkpointed"), [("sdpa", False), ("sdpa", True), ("eager", False)]
)
def test_groups_packed_in_one_micro_batch_and_in_many_equal_their_rows_alone(
    config, groups, expected, attention, is_checkpointed
):
    adapter = load_adapter(config)
    policy = PolicyModel(adapter, replace(config, attention=attention), chunk_tokens=50)
    if is_checkpointed:
        policy.use_gradient_checkpointing()
    for max_tokens, at_least in ((8192, 1), (150, 4)):
        logprobs, gradients, number = packed(adapter, policy, groups, max_tokens)
        assert number >= at_least
        assert_same((logprobs, gradients), expected)
