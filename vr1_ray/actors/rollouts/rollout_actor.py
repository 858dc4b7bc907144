"""The rollout actor: one engine behind Ray. It turns a prompt into a group and takes new weights.

Thin on purpose: rendering is the model adapter's, sampling the engine's, scheduling the pool's.
The class is plain; `ray.remote` is applied where it is launched (`fleet.py`).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray

from vr1_ray.actors.process import begin_process
from vr1_ray.config import RunConfig
from vr1_ray.rollout.base import Bucket
from vr1_ray.types import Prompt, Rollout, RolloutGroup, SamplingSpec, Stage, sample_seed

if TYPE_CHECKING:
    from vr1_ray.models import RenderedPrompt


class RolloutActor:
    """Samples groups of responses. All methods are coroutines: requests of different stages overlap."""

    def __init__(self, config: RunConfig, index: int, gpus: str = "") -> None:
        """`gpus`: what a guest of the trainer sees, for Ray reserved it none (`seats.py`)."""
        self.config = config
        self.index = index
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus

    async def start(self, model_path: str | None = None) -> str:
        """Load processor and engine; `model_path` overrides the policy to start from. Returns the node's id."""
        begin_process(str(self.config.folder / "logs"), f"rollout_{self.index}")
        from vr1_ray.models import load_adapter
        from vr1_ray.rollout import rollout_engine_class
        from vr1_ray.rollout.orphans import watch_over_children
        from vr1_ray.weights.broadcast import outlive_lost_peers

        self.watcher = watch_over_children()
        self.loading = asyncio.Lock()  # a sync may come while an engine that joined still loads

        if self.config.rollout.weight_transport == "nccl":
            outlive_lost_peers()
        model = self.config.model
        if model_path is not None:
            model = replace(model, path=model_path)
        self.adapter = load_adapter(model)
        engine_class = rollout_engine_class(self.config.rollout.engine)
        self.engine = engine_class(
            model=model,
            rollout=self.config.rollout,
            adapter=self.adapter,
            can_sleep=self.config.is_colocated,
        )
        await self.engine.start()
        return ray.get_runtime_context().get_node_id()

    async def probe(self) -> None:
        """Answer, if the engine can serve. Raises EngineDiedError if it can't."""
        await self.engine.check_health()

    async def generate_group(
        self,
        prompt: Prompt,
        spec: SamplingSpec,
        stage: Stage,
        step: int,
        attempt: int = 0,
        indices: tuple[int, ...] | None = None,
        rendered: "RenderedPrompt | None" = None,
    ) -> RolloutGroup:
        """Sample a group's responses: all, or those at `indices` alone, with the seeds of this attempt.

        The group's prompt carries image hashes only, not their bytes.

        Raises ValueError naming the prompt if engine and adapter disagree on its token ids.
        """
        began = time.monotonic()
        rendered = rendered or self.adapter.render(prompt)
        images = self.adapter.open_images(prompt.images)
        indices = tuple(range(spec.group_size)) if indices is None else indices
        seeds = [
            sample_seed(
                run_seed=self.config.seed,
                step=step,
                prompt_id=prompt.prompt_id,
                index=index,
                attempt=attempt,
            )
            for index in indices
        ]
        samples = await self.engine.generate(prompt.prompt_id, rendered, images, spec, seeds)
        version = self._version()
        rollouts = tuple(
            Rollout(
                index=index,
                attempt=attempt,
                seed=seed,
                status=sample.finish_reason,
                response_ids=tuple(sample.response_ids),
                text=self.adapter.decode(tuple(sample.response_ids)),
                rollout_logprobs=tuple(sample.logprobs),
                version_spans=sample.version_spans,
            )
            for index, seed, sample in zip(indices, seeds, samples, strict=True)
        )
        return RolloutGroup(
            prompt=replace(prompt, images=tuple(image.named() for image in prompt.images)),
            step=step,
            stage=stage,
            policy_version=version,
            prompt_ids=rendered.prompt_ids,
            rollouts=rollouts,
            generate_seconds=time.monotonic() - began,
        )

    async def sleep(self) -> None:
        """Give the memory of weights and cache back, until the next `load_weights`. Raises EngineDiedError."""
        async with self.loading:
            await self.engine.sleep()

    async def load_weights(self, version: int, bucket_refs: list[Any]) -> tuple[int, str]:
        """Take the weights of policy version `version`; the version the engine now reports, and a checksum.

        `bucket_refs` are object refs of packed buckets, fetched one at a time (from shared memory when trainer and
        engine share a node), or other buckets as they are. The checksum, of what came and of what the engine now
        holds, is empty without `rollout.verify_weights`.
        """

        async def buckets() -> AsyncIterator[Bucket]:
            for ref in bucket_refs:
                yield await ref if isinstance(ref, ray.ObjectRef) else ref

        async with self.loading:
            await self.engine.load_weights(version, buckets())
            if not self.config.rollout.verify_weights:
                return self._version(), ""
            checksum = await self.engine.weight_checksum()
            return self._version(), f"{self.engine.received_crc:08x}-{checksum}"

    def _version(self) -> int:
        version = self.engine.policy_version
        assert version is not None, "an engine without weights refuses to serve before this"
        return version

    async def close(self) -> None:
        """Stop the engine and its processes."""
        await self.engine.close()
