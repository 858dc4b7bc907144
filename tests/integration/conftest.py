"""One vLLM engine for all tests of this folder (its start takes most of half a minute), beside transformers."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tests.builders import plain_logits, random_weights, save_random_tiny_model
from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.models import load_adapter
from vr1_ray.rollout import rollout_engine_class
from vr1_ray.types import SamplingSpec
from vr1_ray.weights.packing import pack_buckets


@dataclass
class EnginePair:
    """A vLLM engine and the transformers engine, always with the same weights, on one event loop."""

    loop: asyncio.AbstractEventLoop
    adapter: Any
    vllm: Any
    hf: Any

    @property
    def model(self):
        """The transformers model."""
        return self.hf._model

    def run(self, coroutine, seconds=120):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, seconds))

    async def generate(self, prompt, seeds, *, engine=None, max_tokens=32, **spec):
        """The samples of one prompt."""
        spec = SamplingSpec(max_response_tokens=max_tokens, group_size=len(seeds), **spec)
        rendered, images = self.adapter.render(prompt), self.adapter.open_images(prompt.images)
        engine = engine or self.vllm
        return await engine.generate(prompt.prompt_id, rendered, images, spec, list(seeds))

    def sync(self, version):
        """Send the transformers model's weights, several buckets of them, to the vLLM engine."""
        buckets = pack_buckets(self.model.state_dict().items(), max_bytes=1 << 20)
        self.run(self.vllm.load_weights(version, buckets))

    def randomize(self, seed):
        random_weights(self.model, seed=seed)

    def largest_difference(self, prompt, samples, temperature=1.0):
        """Between the samples' log-probabilities and those of one forward pass of transformers."""
        start = len(self.adapter.render(prompt).prompt_ids)
        worst = 0.0
        for sample in samples:
            with torch.inference_mode():
                logits_TV = plain_logits(self.adapter, self.model, prompt, sample.response_ids)
            logits_TV = logits_TV[start - 1 : -1].index_fill(
                1, torch.tensor(self.adapter.banned_ids), -torch.inf
            )
            ids_T = torch.tensor(sample.response_ids)
            logprobs_T = (logits_TV / temperature).log_softmax(-1).gather(1, ids_T[:, None])
            found_T = torch.tensor(sample.logprobs)
            worst = max(worst, (logprobs_T[:, 0] - found_T).abs().max().item())
        return worst


def start_pair(folder, loop, *, model=None, **options):
    """Both engines on the model of `folder`; `options` are more of vLLM's own arguments."""
    model = model or ModelConfig(
        path=str(folder), min_pixels=784, max_pixels=50176, max_model_len=256
    )
    rollout = RolloutConfig(num_threads=1, kv_cache_gib=0.25, options=options)
    adapter = load_adapter(model)
    vllm, hf = (
        rollout_engine_class(name)(model=model, rollout=rollout, adapter=adapter)
        for name in ("vllm", "hf")
    )
    pair = EnginePair(loop=loop, adapter=adapter, vllm=vllm, hf=hf)
    pair.run(hf.start())
    pair.run(vllm.start(), 300)
    return pair


@pytest.fixture(scope="session")
def engine_loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def engines(tmp_path_factory, engine_loop):
    """The shared pair: random weights, untied head with unused rows. Weights are what the last test synced."""
    pair = start_pair(save_random_tiny_model(tmp_path_factory.mktemp("untied")), engine_loop)
    yield pair
    pair.run(pair.vllm.close())
