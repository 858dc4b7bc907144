"""A small engine on plain transformers: the reference that the vLLM engine is tested against.

One response at a time, so nothing depends on a batch; right before fast. Its arithmetic is the
definition of a sample's log-probability, in a few lines of `_next_token`.
"""

import asyncio
import hashlib
from typing import Any, Literal

import numpy as np
import torch

from vr1_ray.models import RenderedPrompt
from vr1_ray.models.attention import chosen_attention
from vr1_ray.rollout.base import (
    Bucket,
    Buckets,
    EngineDiedError,
    RolloutEngine,
    Sample,
    iterate_buckets,
)
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.broadcast import BroadcastBucket, BroadcastMember
from vr1_ray.weights.cuda_ipc import SharedBucket
from vr1_ray.weights.packing import crc32, unpack_block
from vr1_ray.wording import counted


class HFEngine(RolloutEngine):
    """transformers' model, sampled token by token with a key-value cache."""

    _model: Any = None

    async def start(self) -> None:
        torch.set_num_threads(self.rollout.num_threads)
        model = self.adapter.load_model(
            dtype=getattr(torch, self.model.dtype), attention=chosen_attention(self.model)
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(device).eval().requires_grad_(False)
        self._banned = torch.tensor(self.adapter.banned_ids, dtype=torch.long, device=device)
        self._lock = asyncio.Lock()
        self._member = BroadcastMember()
        self._policy_version = self.initial_version

    async def generate(
        self,
        prompt_id: str,
        rendered: RenderedPrompt,
        images: list[Any],
        spec: SamplingSpec,
        seeds: list[int],
    ) -> list[Sample]:
        self.check_call(prompt_id, rendered, len(images), spec)
        samples = []
        for seed in seeds:
            async with self._lock:  # weights may change between two responses, never within one
                samples.append(
                    await asyncio.to_thread(self._sample, prompt_id, rendered, images, spec, seed)
                )
        return samples

    @torch.inference_mode()
    def _sample(
        self,
        prompt_id: str,
        rendered: RenderedPrompt,
        images: list[Any],
        spec: SamplingSpec,
        seed: int,
    ) -> Sample:
        device = self._banned.device
        generator = torch.Generator().manual_seed(seed)
        inputs = self._prefill_inputs(prompt_id, rendered, images)
        cache: Any = None
        ids: list[int] = []
        logprobs: list[float] = []
        has_stopped = False
        while len(ids) < spec.max_response_tokens:
            if self._model is None:
                raise EngineDiedError(f"prompt {prompt_id}: the engine was closed while sampling")
            output = self._model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            token, logprob = self._next_token(output.logits[0, -1], spec, generator)
            ids.append(token)
            logprobs.append(logprob)
            if token in self.adapter.end_ids or (has_stopped := self._has_stopped(ids, spec)):
                break
            inputs = {"input_ids": torch.tensor([[token]], device=device)}
        version = self._policy_version
        assert version is not None
        return Sample(
            response_ids=tuple(ids),
            logprobs=tuple(logprobs),
            finish_reason="finished"
            if has_stopped or ids[-1] in self.adapter.end_ids
            else "truncated",
            version_spans=(TokenSpan(policy_version=version, start=0, end=len(ids)),),
        )

    def _has_stopped(self, ids: list[int], spec: SamplingSpec) -> bool:
        """Whether the last tokens hold one of the texts that end a response."""
        if not spec.stop_texts:
            return False
        longest = max(
            len(text.encode()) for text in spec.stop_texts
        )  # no token is shorter than a byte
        end = self.adapter.decode(tuple(ids[-longest:]))
        return any(text in end for text in spec.stop_texts)

    def _prefill_inputs(
        self, prompt_id: str, rendered: RenderedPrompt, images: list[Any]
    ) -> dict[str, torch.Tensor]:
        try:
            inputs = self.adapter.plain_inputs(self._model, rendered.prompt_ids, images)
        except ValueError as error:
            raise ValueError(f"prompt {prompt_id}: {error}") from error
        return {name: tensor.to(self._banned.device) for name, tensor in inputs.items()}

    def _next_token(
        self, logits_V: torch.Tensor, spec: SamplingSpec, generator: torch.Generator
    ) -> tuple[int, float]:
        """Over the vocabulary without the banned ids, after temperature (1 for greedy)."""
        logits_V = logits_V.float().index_fill(0, self._banned, float("-inf"))
        logprobs_V = (logits_V / (spec.temperature or 1.0)).log_softmax(-1).cpu()
        if spec.temperature == 0:
            token = int(logprobs_V.argmax())
        else:
            token = int(
                torch.multinomial(_nucleus(logprobs_V.exp(), spec.top_p), 1, generator=generator)
            )
        return token, float(logprobs_V[token])

    async def sleep(self) -> None:
        async with self._lock:
            self._policy_version = None
            for weight in self._model.parameters():
                # One element seen everywhere: no memory, but shape, type and device stay. Writing to it raises.
                weight.data = weight.data.new_empty(()).expand(weight.shape)

    async def load_weights(
        self, version: int, buckets: Buckets, in_flight: Literal["wait", "abort"] = "wait"
    ) -> None:
        async with self._lock:
            self._policy_version, self.received_crc = None, 0
            self._wake()
            wanted = self._model.state_dict()
            missing = set(wanted)
            if self._model.config.tie_word_embeddings:
                missing.discard("lm_head.weight")
            async for bucket in iterate_buckets(buckets):
                block = await self._block(bucket)
                if self.rollout.verify_weights:
                    self.received_crc = crc32(block, self.received_crc)
                for name, tensor in unpack_block(block, **bucket.table):
                    wanted[name].copy_(tensor)
                    missing.discard(name)
            if missing:
                raise EngineDiedError(
                    f"policy version {version}: {counted(len(missing), 'parameter')} left out: {sorted(missing)[:5]}"
                )
            self._policy_version = version

    async def _block(self, bucket: Bucket) -> np.ndarray | torch.Tensor:
        assert not isinstance(bucket, SharedBucket)  # config/placement.py refuses it
        if isinstance(bucket, BroadcastBucket):
            return await asyncio.to_thread(
                self._member.receive,
                bucket.group,
                bucket.group.first_rank,
                bucket.num_bytes,
                self._banned.device,
            )
        return bucket.data

    def _wake(self) -> None:
        """Room for the weights again, if it sleeps. The key-value cache is made anew for each response."""
        for weight in self._model.parameters():
            if not weight.data.is_contiguous():
                weight.data = torch.empty_like(weight, memory_format=torch.contiguous_format)

    async def weight_checksum(self) -> str:
        whole = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            whole.update(name.encode())
            whole.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return whole.hexdigest()

    async def check_health(self) -> None:
        if self._model is None:
            raise EngineDiedError("the engine is not started")

    async def close(self) -> None:
        self._model = None
        self._policy_version = None


def _nucleus(probs_V: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest set of most probable tokens that holds `top_p` of the mass, others at zero."""
    if top_p >= 1.0:
        return probs_V
    sorted_V, order_V = probs_V.sort(descending=True)
    outside_V = sorted_V.cumsum(-1) - sorted_V >= top_p
    return probs_V.index_fill(0, order_V[outside_V], 0.0)
