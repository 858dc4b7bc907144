"""The vLLM engine on CPU: the same numbers as transformers, before and after weights changed under it."""

import asyncio
import dataclasses
import os
import signal
import subprocess

import pytest
from transformers import AutoModelForImageTextToText

from tests.builders import TINY_MODEL, prompt, random_weights, save_random_tiny_model
from tests.integration.conftest import start_pair
from vr1_ray.rollout import EngineDiedError
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.packing import pack_bucket

pytestmark = pytest.mark.vllm


def test_logprobs_agree_with_transformers_as_started(engines):
    assert engines.vllm.policy_version == 0
    for row in (prompt(1), prompt(2, num_images=2), prompt(3, num_images=0)):
        samples = engines.run(engines.generate(row, range(4)))
        assert engines.largest_difference(row, samples) <= 1e-5
        assert {span.policy_version for s in samples for span in s.version_spans} == {0}


def test_temperature_is_in_the_logprobs(engines):
    samples = engines.run(engines.generate(prompt(1), range(4), temperature=0.7))
    assert engines.largest_difference(prompt(1), samples, temperature=0.7) <= 1e-5


def test_greedy_is_that_of_transformers_with_logprobs_at_temperature_one(engines):
    row = prompt(4)
    [found] = engines.run(engines.generate(row, [0], temperature=0.0))
    [wanted] = engines.run(engines.generate(row, [9], temperature=0.0, engine=engines.hf))
    assert found.response_ids == wanted.response_ids
    assert engines.largest_difference(row, [found]) <= 1e-5
    assert engines.largest_difference(row, [wanted]) <= 1e-5


def test_logprobs_agree_after_a_sync_that_changed_everything(engines):
    rows = [prompt(1), prompt(2, num_images=2), prompt(3, num_images=0)]
    for row in rows:  # fills every cache with what the old weights made of these images
        engines.run(engines.generate(row, range(2)))
    for version, seed in ((5, 50), (6, 60)):
        engines.randomize(seed)
        engines.sync(version)
        assert engines.vllm.policy_version == version
        for row in rows:
            samples = engines.run(engines.generate(row, range(4)))
            assert engines.largest_difference(row, samples) <= 1e-5
            for sample in samples:
                end = len(sample.response_ids)
                span = TokenSpan(policy_version=version, start=0, end=end)
                assert sample.version_spans == (span,)


def test_the_same_image_is_seen_anew_after_only_the_vision_tower_changed(engines):
    row = prompt(11)
    [before] = engines.run(engines.generate(row, [1]))
    random_weights(engines.model.model.visual, seed=77)
    assert engines.largest_difference(row, [before]) > 1e-2
    engines.sync(7)
    [after] = engines.run(engines.generate(row, [1]))
    assert engines.largest_difference(row, [after]) <= 1e-5


def test_logprobs_agree_on_the_trained_tiny_model(engines):
    trained = AutoModelForImageTextToText.from_pretrained(TINY_MODEL).state_dict()
    for name, tensor in engines.model.state_dict().items():
        rows = trained[name].shape[0]
        tensor.zero_()[:rows].copy_(trained[name])  # the test model has seven unused rows more
    engines.sync(8)
    for row in (prompt(1), prompt(2)):
        samples = engines.run(engines.generate(row, range(4)))
        assert engines.largest_difference(row, samples) <= 1e-4
    engines.randomize(0)
    engines.sync(9)


def test_a_seeded_group_comes_out_the_same_twice_alone_and_in_company(engines):
    async def together():
        others = [
            engines.generate(prompt(20), range(2), max_tokens=7),
            engines.generate(prompt(21, num_images=0), range(9), max_tokens=60, temperature=0.5),
            engines.generate(prompt(22), [3], max_tokens=40, temperature=0.0),
            engines.generate(prompt(23, size=(140, 112)), range(5), max_tokens=90),
        ]
        return await asyncio.gather(engines.generate(prompt(1), range(100, 108)), *others)

    alone = engines.run(engines.generate(prompt(1), range(100, 108)))
    again = engines.run(engines.generate(prompt(1), range(100, 108)))
    in_company, *others = engines.run(together())
    [single] = engines.run(engines.generate(prompt(1), [103]))
    assert again == alone
    assert in_company == alone
    assert single == alone[3]
    assert len({sample.response_ids for sample in alone}) == 8
    for samples, cap in zip(others, (7, 60, 40, 90), strict=True):
        for sample in samples:
            finished = sample.response_ids[-1] in engines.adapter.end_ids
            assert sample.finish_reason == ("finished" if finished else "truncated")
            assert finished or len(sample.response_ids) == cap
            assert len(sample.logprobs) == len(sample.response_ids) <= cap


def test_banned_ids_are_never_sampled(engines):
    samples = engines.run(engines.generate(prompt(5), range(48), max_tokens=100))
    sampled = {token for sample in samples for token in sample.response_ids}
    assert sum(len(sample.response_ids) for sample in samples) > 1000
    assert len(sampled) > 400
    assert not sampled & set(engines.adapter.banned_ids)


def test_a_prompt_the_engine_expands_otherwise_is_an_error_that_names_it(engines):
    row = prompt(6)
    rendered = engines.adapter.render(row)
    wrong = dataclasses.replace(rendered, prompt_ids=(*rendered.prompt_ids, 5))
    spec = SamplingSpec(max_response_tokens=4, group_size=1)
    images = engines.adapter.open_images(row.images)
    with pytest.raises(ValueError, match=r"prompt p6: .*min_pixels"):
        engines.run(engines.vllm.generate("p6", wrong, images, spec, [1]))


def test_a_budget_over_max_model_len_is_refused(engines):
    with pytest.raises(ValueError, match=r"prompt p6: .*max_model_len=256"):
        engines.run(engines.generate(prompt(6), [1], max_tokens=250))


def test_a_response_in_flight_is_finished_with_the_old_weights_before_a_sync(engines):
    async def sync_meanwhile():
        response = asyncio.create_task(engines.generate(prompt(1), [1], max_tokens=150))
        await asyncio.sleep(0.05)
        await engines.vllm.load_weights(12, [pack_bucket(engines.model.state_dict().items())])
        return await response

    [sample] = engines.run(sync_meanwhile())
    assert len({span.policy_version for span in sample.version_spans}) == 1
    assert engines.vllm.policy_version == 12


def test_asleep_it_refuses_and_loading_wakes_it_with_the_new_weights(engines):
    """On CPU vLLM frees nothing, but goes through the same calls in the same order."""
    engines.run(engines.generate(prompt(1), range(2)))  # fills the caches
    engines.run(engines.vllm.sleep())
    assert engines.vllm.policy_version is None
    engines.run(engines.vllm.check_health())
    with pytest.raises(EngineDiedError, match="no complete weights"):
        engines.run(engines.generate(prompt(1), [1]))
    engines.randomize(33)
    engines.sync(13)
    for row in (prompt(1), prompt(3, num_images=0)):
        samples = engines.run(engines.generate(row, range(4)))
        assert engines.largest_difference(row, samples) <= 1e-5
    engines.randomize(34)
    engines.sync(14)  # awake again, as any other sync


@pytest.fixture(scope="module")
def tied(tmp_path_factory, engine_loop):
    folder = save_random_tiny_model(tmp_path_factory.mktemp("tied"), tied=True)
    pair = start_pair(folder, engine_loop)
    yield pair
    pair.run(pair.vllm.close())


def test_a_tied_head_follows_its_embedding_and_a_broken_engine_restarts(tied):
    row = prompt(1)
    for version in (0, 1, 2):
        if version:
            tied.randomize(version)
            tied.sync(version)
        samples = tied.run(tied.generate(row, range(4)))
        assert tied.largest_difference(row, samples) <= 1e-5
        [greedy] = tied.run(tied.generate(row, [1], temperature=0.0))
        [wanted] = tied.run(tied.generate(row, [1], temperature=0.0, engine=tied.hf))
        assert greedy.response_ids == wanted.response_ids

    some = [
        ("model.visual.patch_embed.proj.weight", tied.model.model.visual.patch_embed.proj.weight)
    ]
    with pytest.raises(EngineDiedError, match=r"version 3 failed.*parameters out"):
        tied.run(tied.vllm.load_weights(3, [pack_bucket(some)]))
    assert tied.vllm.policy_version is None
    with pytest.raises(EngineDiedError, match="no complete weights"):
        tied.run(tied.generate(row, [1]))

    tied.run(tied.vllm.close())
    tied.run(tied.vllm.start())
    assert tied.vllm.policy_version == 0
    tied.sync(4)
    samples = tied.run(tied.generate(row, range(2)))
    assert tied.largest_difference(row, samples) <= 1e-5

    os.kill(_youngest_engine_core(), signal.SIGKILL)
    with pytest.raises(EngineDiedError):
        tied.run(tied.generate(row, range(4), max_tokens=200))
    with pytest.raises(EngineDiedError):
        tied.run(tied.vllm.check_health())


def _youngest_engine_core():
    """The process id of the last started vLLM engine core below this process."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    below, cores = {os.getpid()}, []
    for pid, parent, name in sorted((int(row[0]), int(row[1]), row[2]) for row in rows):
        if parent in below:
            below.add(pid)
            cores += [pid] if "EngineCore" in name else []
    return cores[-1]
