"""The ban of tokens behind the interfaces of both of vLLM's model runners, called as their samplers call it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.builders import TINY_MODEL
from vr1_ray.config import ModelConfig
from vr1_ray.models import load_adapter
from vr1_ray.rollout.vllm_environment import set_environment

BAN = "vr1_ray.rollout.vllm_worker:BanTokens"
BANNED = [2, 5]
ROWS_BV = torch.tensor([[0.0, 1.0, 9.0, 2.0, 3.0, 8.0], [4.0, 0.0, 7.0, 1.0, 2.0, 6.0]])
WANTED_BV = torch.tensor(
    [[0.0, 1.0, -torch.inf, 2.0, 3.0, -torch.inf], [4.0, 0.0, -torch.inf, 1.0, 2.0, -torch.inf]]
)


@pytest.fixture(autouse=True)
def buffers_without_a_device(monkeypatch):
    """Of runner V2, those that vLLM's own CPU worker takes for pinned ones."""
    set_environment(1, None)
    from vllm.v1.worker.cpu.buffer_utils import UvaBuffer

    monkeypatch.setattr("vllm.v1.worker.gpu.buffer_utils.UvaBuffer", UvaBuffer)


def config(**additional):
    """What the processors and the sampler read of vLLM's config."""
    return SimpleNamespace(
        additional_config=additional,
        model_config=SimpleNamespace(model=str(TINY_MODEL)),
        scheduler_config=SimpleNamespace(max_num_seqs=4),
        reasoning_config=None,
        speculative_config=None,
        num_speculative_tokens=0,
    )


def request_states(device="cpu", vocab_size=6):
    from vllm.v1.worker.gpu.states import RequestState

    return RequestState(
        max_num_reqs=4,
        max_model_len=16,
        max_num_batched_tokens=16,
        num_speculative_steps=0,
        vocab_size=vocab_size,
        device=torch.device(device),
    )


def processors_of_v2(vllm_config, states):
    from vllm.v1.worker.gpu.sample.logits_processor import build_custom_logits_processors

    return build_custom_logits_processors(vllm_config, states, False, [BAN])


def test_runner_v1_builds_it_and_no_banned_id_has_probability():
    from vllm.v1.sample.logits_processor import build_logitsprocs

    built = build_logitsprocs(
        config(vr1_banned_ids=BANNED), torch.device("cpu"), False, False, [BAN]
    )
    [ban] = built.non_argmax_invariant[-1:]  # these run for greedy requests too
    assert torch.equal(ban.apply(ROWS_BV.clone()), WANTED_BV)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_in_runner_v2s_own_sampler_no_banned_id_has_probability(temperature):
    from vllm import SamplingParams
    from vllm.v1.worker.gpu.sample.sampler import Sampler

    vllm_config, states = config(vr1_banned_ids=BANNED), request_states()
    sampler = Sampler(
        vllm_config,
        max_num_reqs=4,
        vocab_size=6,
        device=torch.device("cpu"),
        req_states=states,
        logprobs_mode="processed_logprobs",
        custom_logits_processors=processors_of_v2(vllm_config, states),
    )
    for slot in (3, 1):
        sampler.add_request(slot, SamplingParams(temperature=temperature, seed=slot, logprobs=0))
    slots = torch.tensor([3, 1])
    found_BV = sampler.apply_sampling_params(
        ROWS_BV.clone(),
        expanded_idx_mapping=slots,
        idx_mapping=slots,
        idx_mapping_np=np.array([3, 1]),
        pos=torch.tensor([5, 7]),
        input_ids=torch.tensor([1, 1]),
        expanded_local_pos=torch.tensor([0, 0]),
        seq_lens_upper_bound_np=np.array([6, 8]),
    )
    assert torch.equal(found_BV, WANTED_BV)


def test_runner_v2s_front_end_takes_it():
    from vllm import SamplingParams
    from vllm.v1.worker.gpu.sample.logits_processor import (
        build_custom_logits_processors_params_validator,
    )

    build_custom_logits_processors_params_validator([BAN])(SamplingParams(seed=1))


def test_a_server_bans_what_the_models_adapter_says():
    [ban] = processors_of_v2(config(), request_states())
    adapter = load_adapter(ModelConfig(path=str(TINY_MODEL)))
    found = ban.apply(torch.zeros(1, adapter.vocab_size))
    assert found.isinf().nonzero()[:, 1].tolist() == list(adapter.banned_ids)


def test_nothing_of_it_is_in_the_memory_that_an_engine_asleep_gives_back():
    """V2 builds processors in the memory pool of the weights, which a sleep at level 2 drops."""
    states = SimpleNamespace(
        device=torch.device("meta"), max_num_reqs=4, vocab_size=6,
        all_token_ids=None, prompt_len=None, prefill_len=None, total_len=None,
    )  # fmt: skip
    [ban] = processors_of_v2(config(vr1_banned_ids=BANNED), states)
    tensors = [value for value in vars(ban).values() if isinstance(value, torch.Tensor)]
    assert tensors
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
