"""The rollout actor: one engine behind Ray. It turns a prompt into a group and takes new weights.

Thin on purpose: rendering is the model adapter's, sampling the engine's, scheduling the pool's.
The class is plain; `ray.remote` is applied where it is launched (`fleet.py`).
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

from vr1_ray.actors.cluster import write_output_to
from vr1_ray.config import RunConfig
from vr1_ray.types import Prompt, Rollout, RolloutGroup, SamplingSpec, Stage, TokenSpan, sample_seed


class RolloutActor:
    """Samples groups of responses. All methods are coroutines: requests of different stages overlap."""

    def __init__(self, config: RunConfig, index: int) -> None:
        self.config = config
        self.index = index

    async def start(self, model_path: str | None = None) -> None:
        """Load processor and engine; `model_path` overrides the policy to start from."""
        write_output_to(str(self.config.folder / "logs"), f"rollout_{self.index}")
        from vr1_ray.models import load_adapter
        from vr1_ray.rollout import make_engine

        model = self.config.model
        if model_path is not None:
            model = replace(model, path=model_path)
        self.adapter = load_adapter(model)
        self.engine = make_engine(self.config.rollout, model, self.adapter)
        await self.engine.start()

    async def generate_group(
        self, prompt: Prompt, spec: SamplingSpec, stage: Stage, step: int, attempt: int = 0
    ) -> RolloutGroup:
        """Sample `spec.group_size` responses. The group's prompt carries image hashes only, not their bytes.

        Raises ValueError naming the prompt if engine and adapter disagree on its token ids.
        """
        began = time.monotonic()
        rendered = self.adapter.render(prompt)
        images = self.adapter.open_images(prompt.images)
        seeds = [
            sample_seed(
                run_seed=self.config.seed, step=step, prompt_id=prompt.prompt_id, index=index, attempt=attempt
            )
            for index in range(spec.group_size)
        ]
        samples = await self.engine.generate(prompt.prompt_id, rendered, images, spec, seeds)
        version = self.engine.policy_version
        rollouts = tuple(
            Rollout(
                index=index,
                attempt=attempt,
                seed=seeds[index],
                status=sample.status,
                response_ids=tuple(sample.response_ids),
                text=self.adapter.decode(tuple(sample.response_ids)),
                rollout_logprobs=tuple(sample.logprobs),
                version_spans=(TokenSpan(policy_version=version, start=0, end=len(sample.response_ids)),),
            )
            for index, sample in enumerate(samples)
        )
        return RolloutGroup(
            prompt=replace(prompt, images=tuple(replace(image, data=b"") for image in prompt.images)),
            step=step,
            stage=stage,
            policy_version=version,
            prompt_ids=rendered.prompt_ids,
            rollouts=rollouts,
            generate_seconds=time.monotonic() - began,
        )

    async def load_weights(self, version: int, buckets: list[tuple[Any, Any]]) -> int:
        """Take the weights of policy version `version` and return the version the engine now reports.

        `buckets` are (object ref of packed bytes, metadata): the bytes come from shared memory when
        trainer and engine share a node.
        """
        packed = await asyncio.gather(*[ref for ref, _ in buckets])
        await self.engine.load_weights(version, list(zip(packed, [meta for _, meta in buckets], strict=True)))
        return self.engine.policy_version

    async def policy_version(self) -> int:
        return self.engine.policy_version

    async def close(self) -> None:
        await self.engine.close()
