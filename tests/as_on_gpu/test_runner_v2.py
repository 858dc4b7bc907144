"""The whole engine on vLLM's Model Runner V2, which GPUs get: its Triton kernels through Triton's interpreter.

With what GPUs have by default and CPUs not, chunked prefill and prefix caching. Not covered: compiled kernels, CUDA
graphs, asynchronous scheduling, memory that a sleep gives back.
"""

import asyncio
import os
from pathlib import Path

import pytest

from tests.builders import prompt, random_weights, save_random_tiny_model
from tests.integration.conftest import start_pair
from vr1_ray.rollout.vllm_environment import set_environment
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.packing import pack_bucket

TRITON_ON_CPU = Path(__file__).parent / "triton_on_cpu"
ROWS = [prompt(1), prompt(2, num_images=2), prompt(3, num_images=0)]
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    set_environment(1, None)
    loop = asyncio.new_event_loop()
    with pytest.MonkeyPatch.context() as patch:
        # The process that samples is a new one, which has Triton from its first import; this one decides as if it had.
        patch.setenv("VLLM_WORKER_MULTIPROCESSING_METHOD", "spawn")
        path = [str(TRITON_ON_CPU), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
        patch.setenv("VLLM_ALLOW_INSECURE_SERIALIZATION", "1")  # for `runner_of`
        patch.setattr("vllm.config.vllm.HAS_TRITON", True)
        pair = start_pair(
            save_random_tiny_model(tmp_path_factory.mktemp("untied")),
            loop,
            enable_chunked_prefill=True,
            enable_prefix_caching=True,
            max_num_batched_tokens=64,
            max_num_seqs=32,
            block_size=32,
            num_gpu_blocks_override=10,  # room for the longest prompt and little more
        )
        yield pair
        pair.run(pair.vllm.close())
    loop.close()


def runner_of(worker):
    """Where the runner's class comes from; run inside the engine's process."""
    return type(worker.model_runner).__mro__[1].__module__


def test_it_runs_on_model_runner_v2(engines):
    assert engines.vllm._engine.vllm_config.use_v2_model_runner
    [module] = engines.run(engines.vllm._engine.collective_rpc(runner_of))
    assert module == "vllm.v1.worker.gpu.model_runner"


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("row", ROWS, ids=["one image", "two images", "no image"])
def test_logprobs_are_those_of_transformers(engines, row, temperature):
    samples = engines.run(engines.generate(row, range(3), max_tokens=6, temperature=temperature))
    assert engines.largest_difference(row, samples, temperature or 1.0) <= 1e-5
    assert {span.policy_version for s in samples for span in s.version_spans} == {0}


def test_a_greedy_response_is_that_of_transformers(engines):
    [found] = engines.run(engines.generate(prompt(4), [0], max_tokens=8, temperature=0.0))
    [wanted] = engines.run(
        engines.generate(prompt(4), [9], max_tokens=8, temperature=0.0, engine=engines.hf)
    )
    assert found.response_ids == wanted.response_ids


def test_a_seed_gives_the_same_response_alone_and_in_company(engines):
    async def together():
        others = [
            engines.generate(prompt(20), range(2), max_tokens=3),
            engines.generate(prompt(22), [3], max_tokens=12, temperature=0.0),
        ]
        return await asyncio.gather(
            engines.generate(ROWS[0], range(100, 104), max_tokens=8), *others
        )

    in_company, *_ = engines.run(together())
    [alone] = engines.run(engines.generate(ROWS[0], [102], max_tokens=8))
    assert alone.response_ids == in_company[2].response_ids
    assert len({sample.response_ids for sample in in_company}) == 4


def test_a_response_that_had_to_wait_in_the_middle_is_the_same_as_alone(engines):
    """Eight of 26 + 12 tokens come to need two blocks each, and there are nine: some are preempted and come again."""
    many = engines.run(engines.generate(ROWS[0], range(200, 208), max_tokens=12))
    assert engines.largest_difference(ROWS[0], many) <= 1e-5
    for index in (0, 7):
        [alone] = engines.run(engines.generate(ROWS[0], [200 + index], max_tokens=12))
        assert alone.response_ids == many[index].response_ids


def test_banned_ids_are_never_sampled(engines):
    """Of 544 ids of near equal probability 13 are banned: without the ban about five would be there."""
    samples = engines.run(engines.generate(prompt(5), range(16), max_tokens=14))
    sampled = [token for sample in samples for token in sample.response_ids]
    assert len(sampled) > 180
    assert not set(sampled) & set(engines.adapter.banned_ids)


async def num_cached_tokens(engines, row):
    """How much of a prompt the engine has in its prefix cache."""
    engine, rendered = engines.vllm._engine, engines.adapter.render(row)
    images = {"image": engines.adapter.open_images(row.images)}
    asked = {"prompt_token_ids": list(rendered.engine_ids), "multi_modal_data": images}
    [prompt_input] = await engine.renderer.render_cmpl_async([asked])
    params = engines.vllm.sampling_params(SamplingSpec(max_response_tokens=1, group_size=1), 0)
    [output] = [found async for found in engine.generate(prompt_input, params, "cached")]
    return output.num_cached_tokens


def test_a_prompt_over_several_chunks_and_one_from_the_cache_have_the_same_logprobs(engines):
    row = prompt(30, size=(280, 280))
    assert len(engines.adapter.render(row).prompt_ids) > 64  # a chunk
    for _ in range(2):
        samples = engines.run(engines.generate(row, range(2), max_tokens=4))
        assert engines.largest_difference(row, samples) <= 1e-5
    assert engines.run(num_cached_tokens(engines, row)) == 64  # two blocks
    other = prompt(31, size=(280, 280))  # the same token ids, another picture
    samples = engines.run(engines.generate(other, range(2), max_tokens=4))
    assert engines.largest_difference(other, samples) <= 1e-5


def test_after_a_sync_nothing_of_the_old_weights_is_left(engines):
    row = prompt(30, size=(280, 280))
    [before] = engines.run(engines.generate(row, [1], max_tokens=6))
    random_weights(engines.model.model.visual, seed=77)
    assert engines.largest_difference(row, [before]) > 1e-2
    assert engines.run(num_cached_tokens(engines, row)) == 64
    engines.sync(5)  # the vision tower alone differs: cached prefixes and image features would show
    assert engines.run(num_cached_tokens(engines, row)) == 0
    samples = engines.run(engines.generate(row, range(2), max_tokens=6))
    assert engines.largest_difference(row, samples) <= 1e-5
    engines.randomize(60)
    engines.sync(6)
    for other in (row, *ROWS):
        samples = engines.run(engines.generate(other, range(2), max_tokens=4))
        assert engines.largest_difference(other, samples) <= 1e-5
        for sample in samples:
            end = len(sample.response_ids)
            assert sample.version_spans == (TokenSpan(policy_version=6, start=0, end=end),)


def test_a_response_in_flight_ends_with_the_old_weights_before_a_sync(engines):
    async def sync_meanwhile():
        response = asyncio.create_task(engines.generate(ROWS[0], [1], max_tokens=30))
        await asyncio.sleep(0.5)
        await engines.vllm.load_weights(12, [pack_bucket(engines.model.state_dict().items())])
        return await response

    [sample] = engines.run(sync_meanwhile())
    assert [span.policy_version for span in sample.version_spans] == [6]
    assert engines.vllm.policy_version == 12


def test_it_wakes_with_new_weights(engines):
    engines.run(engines.vllm.sleep())
    engines.randomize(33)
    engines.sync(13)
    samples = engines.run(engines.generate(ROWS[0], range(2), max_tokens=4))
    assert engines.largest_difference(ROWS[0], samples) <= 1e-5
