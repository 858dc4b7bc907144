"""The reference engine: its log-probabilities are one forward pass's, its seeds hold, it takes weights over."""

import asyncio
import dataclasses
import json

import pytest
import torch

from tests.builders import plain_logits, prompt, random_weights, save_random_tiny_model
from tests.sender import broadcasting
from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.models import load_adapter
from vr1_ray.rollout import EngineDiedError
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.broadcast import BroadcastLostError
from vr1_ray.weights.packing import pack_bucket, pack_buckets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = save_random_tiny_model(tmp_path_factory.mktemp("tiny"))
    model = ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176, max_model_len=128)
    engine = HFEngine(model=model, rollout=RolloutConfig(), adapter=load_adapter(model))
    asyncio.run(engine.start())
    return engine


def generate(engine, row, seeds, **spec):
    spec = SamplingSpec(**{"max_response_tokens": 16, "group_size": len(seeds), **spec})
    rendered, images = engine.adapter.render(row), engine.adapter.open_images(row.images)
    return asyncio.run(engine.generate(row.prompt_id, rendered, images, spec, seeds))


@pytest.mark.parametrize("temperature", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("num_images", [0, 1, 2])
def test_logprobs_are_those_of_one_forward_pass(engine, temperature, num_images):
    row = prompt(num_images + 1, num_images=num_images)
    start = len(engine.adapter.render(row).prompt_ids)
    for sample in generate(engine, row, [1, 2], temperature=temperature):
        with torch.no_grad():
            logits_TV = plain_logits(engine.adapter, engine._model, row, sample.response_ids)
        logits_TV = logits_TV[start - 1 : -1]
        logits_TV[:, list(engine.adapter.banned_ids)] = -torch.inf
        wanted_TV = (logits_TV / (temperature or 1.0)).log_softmax(-1)
        wanted = wanted_TV[torch.arange(len(sample.response_ids)), list(sample.response_ids)]
        assert torch.allclose(wanted, torch.tensor(sample.logprobs), atol=1e-5)


def test_a_prompt_with_more_images_than_the_engine_is_set_to_take_is_refused_by_name(engine):
    many = prompt(1, num_images=engine.model.max_images + 1, size=(28, 28))
    with pytest.raises(ValueError, match=r"prompt p1: 9 images, over model\.max_images=8"):
        generate(engine, many, [1], max_response_tokens=1)


def test_a_seed_gives_the_same_response_alone_and_in_a_group(engine):
    group = generate(engine, prompt(1), [5, 6, 7])
    assert generate(engine, prompt(1), [6]) == [group[1]]
    assert len({sample.response_ids for sample in group}) == 3


def test_a_tiny_nucleus_is_greedy(engine):
    [greedy] = generate(engine, prompt(1), [5], temperature=0.0)
    [nucleus] = generate(engine, prompt(1), [6], top_p=1e-6)
    assert nucleus.response_ids == greedy.response_ids


def test_placeholders_that_do_not_match_the_images_are_an_error(engine):
    row = prompt(1)
    rendered = engine.adapter.render(row)
    wrong = dataclasses.replace(
        rendered, prompt_ids=tuple(i for i in rendered.prompt_ids if i != engine.adapter.image_id)
    )
    spec = SamplingSpec(max_response_tokens=4, group_size=1)
    with pytest.raises(ValueError, match=r"prompt p1: .*9 vision tokens.*0 placeholders"):
        asyncio.run(engine.generate("p1", wrong, engine.adapter.open_images(row.images), spec, [1]))


def test_a_budget_over_max_model_len_is_refused(engine):
    with pytest.raises(ValueError, match=r"prompt p1: .*max_model_len=128"):
        generate(engine, prompt(1), [1], max_response_tokens=120)


@pytest.mark.parametrize("tied", [False, True])
def test_new_weights_are_used_and_missing_ones_are_an_error(tmp_path, tied):
    folder = save_random_tiny_model(tmp_path, tied=tied)
    model = ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176)
    adapter = load_adapter(model)
    engine = HFEngine(model=model, rollout=RolloutConfig(), adapter=adapter, initial_version=4)
    assert engine.policy_version is None
    asyncio.run(engine.start())
    [before] = generate(engine, prompt(1), [1])
    whole = TokenSpan(policy_version=4, start=0, end=len(before.response_ids))
    assert before.version_spans == (whole,)

    other = adapter.load_model(dtype=torch.float32, attention="sdpa")
    random_weights(other, seed=9)
    named = list(other.named_parameters())  # without the head of a tied model
    asyncio.run(engine.load_weights(5, pack_buckets(named, max_bytes=1 << 18)))
    [after] = generate(engine, prompt(1), [1])
    assert after.response_ids != before.response_ids
    assert after.version_spans[0].policy_version == 5
    for (name, wanted), found in zip(named, engine._model.parameters(), strict=True):
        assert torch.equal(wanted, found), name

    with pytest.raises(EngineDiedError, match="parameters left out"):
        asyncio.run(engine.load_weights(6, [pack_bucket(named[:3])]))
    assert engine.policy_version is None
    with pytest.raises(EngineDiedError, match="no complete weights"):
        generate(engine, prompt(1), [1])


def test_weights_that_are_broadcast_are_taken_over_and_a_lost_broadcast_is_begun_again(tmp_path):
    model = ModelConfig(path=str(save_random_tiny_model(tmp_path)))
    adapter, rollout = load_adapter(model), RolloutConfig(verify_weights=True)
    engine = HFEngine(model=model, rollout=rollout, adapter=adapter)
    asyncio.run(engine.start())
    other = random_weights(adapter.load_model(dtype=torch.float32, attention="sdpa"), seed=9)
    packed = list(pack_buckets(other.named_parameters(), max_bytes=1 << 18))

    with (
        broadcasting(packed, epoch=1, stop_after=2) as buckets,
        pytest.raises(BroadcastLostError),
    ):
        asyncio.run(engine.load_weights(1, buckets))
    assert engine.policy_version is None
    with broadcasting(packed, epoch=2) as buckets:
        asyncio.run(engine.load_weights(1, buckets))
    assert engine.policy_version == 1
    for (name, wanted), found in zip(
        other.named_parameters(), engine._model.parameters(), strict=True
    ):
        assert torch.equal(wanted, found), name
    received = engine.received_crc
    asyncio.run(engine.load_weights(2, packed))
    assert engine.received_crc == received != 0


@pytest.mark.parametrize("tied", [False, True])
def test_asleep_it_holds_no_weights_and_loading_wakes_it(tmp_path, tied):
    folder = save_random_tiny_model(tmp_path, tied=tied)
    model = ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176)
    engine = HFEngine(model=model, rollout=RolloutConfig(), adapter=load_adapter(model))
    asyncio.run(engine.start())
    before = generate(engine, prompt(1), [1, 2])
    own = [(name, weight.clone()) for name, weight in engine._model.named_parameters()]

    asyncio.run(engine.sleep())
    asyncio.run(engine.check_health())
    held = sum(weight.untyped_storage().nbytes() for weight in engine._model.parameters())
    assert held <= 4 * len(own)  # one float of each
    assert engine.policy_version is None
    with pytest.raises(EngineDiedError, match="no complete weights"):
        generate(engine, prompt(1), [1])

    asyncio.run(engine.load_weights(1, pack_buckets(own, max_bytes=1 << 18)))
    assert [s.response_ids for s in generate(engine, prompt(1), [1, 2])] == [
        s.response_ids for s in before
    ]


def test_a_tied_head_of_the_published_layout_takes_weights_without_one(tmp_path):
    folder = save_random_tiny_model(tmp_path / "tied", tied=True)
    config = json.loads((folder / "config.json").read_text())
    del config["text_config"]["tie_word_embeddings"]  # as published: at the top alone
    (folder / "config.json").write_text(json.dumps(config))
    model = ModelConfig(path=str(folder), max_model_len=128)
    engine = HFEngine(model=model, rollout=RolloutConfig(), adapter=load_adapter(model))

    async def load():
        await engine.start()
        weights = [(name, weight.detach()) for name, weight in engine._model.named_parameters()]
        assert not [name for name, _ in weights if name.startswith("lm_head.")]
        await engine.load_weights(3, pack_buckets(weights))
        return engine._policy_version

    assert asyncio.run(load()) == 3
