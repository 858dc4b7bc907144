"""The vLLM engine: vLLM's AsyncLLM behind `RolloutEngine`, on CPU and GPU.

Each sample is a request of its own with its own seed, so calls with different response budgets and group
sizes overlap, and one sample can be drawn again alone. Weights come through vLLM's weight-transfer
interface (`vllm_worker.py`). vllm is imported in `start` only, after its environment is set. Asleep (vLLM's sleep
mode, level 2) it holds neither weights nor cache; on CPU vLLM goes through the same calls and frees nothing.

Why AsyncLLM and not the in-process `LLM`: calls overlap on one event loop, and a pause clears all of
vLLM's caches. Measured on two CPU cores that a training run shared (vLLM 0.32, fp32, 1.5M parameters,
16 prompts x 16 samples x 64 tokens, one thread, nothing else changed):

                      AsyncLLM            in-process LLM
    start             25 s                6 s              three processes import torch and vllm, not one
    throughput        3.9-5.5 k tokens/s  5.7-5.9 k tokens/s
    weight update     0.08-0.11 s         not measured

In AsyncLLM the 256 seeded responses came out the same twice, and each group alone as in the full batch,
to the last bit of their log-probabilities, which agree with transformers to 1e-5 (the tests demand it).

Where there is Triton, on GPUs, vLLM 0.32 samples with its Model Runner V2, without with V1. What is relied on holds in
both; tests/as_on_gpu/ runs V2, its kernels through Triton's interpreter, and compares it with transformers:

- `processed_logprobs` are of float32 logits after ban and temperature (at 1 for greedy): v1/worker/gpu/sample/sampler.py.
- A sample's noise is a function of its seed, the position and the token (sample/gumbel.py; V1: a generator of its own). The
  same seed so gives the same response in any company, as far as the kernels give the same logits for any batch:
  not known of GPUs, where the environment variable VLLM_BATCH_INVARIANT=1 asks for it.
- Worker, weight update, sleep, pause, versions and caches are the same code; V2 drops image features with the others.
- Nothing the ban needs lies in the memory of the weights, which level 2 of sleep drops (`BanTokens`).
"""

import asyncio
import hashlib
import itertools
import json
from typing import Any, Literal

from vr1_ray.models import RenderedPrompt
from vr1_ray.rollout.base import (
    Buckets,
    EngineDiedError,
    RolloutEngine,
    Sample,
    iterate_buckets,
)
from vr1_ray.rollout.vllm_environment import set_environment
from vr1_ray.rollout.vllm_options import vllm_option_names
from vr1_ray.rollout.vllm_weights import load_bucket
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.broadcast import BroadcastLostError
from vr1_ray.wording import counted

UNIPROC = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
FINISH_REASONS: dict[str, Literal["finished", "truncated", "aborted"]] = {
    "stop": "finished",
    "length": "truncated",
    "abort": "aborted",
}


class VLLMEngine(RolloutEngine):
    """AsyncLLM with an engine-core process and one worker process per tensor-parallel rank.

    Everything in `rollout.options` is passed to vLLM's engine arguments as it is and wins.
    """

    @classmethod
    def option_names(cls) -> tuple[str, ...] | None:
        return vllm_option_names()

    _engine: Any = None
    _is_asleep = False
    _is_updating = False  # half of the weights are new
    _request_numbers = itertools.count()

    async def start(self) -> None:
        set_environment(self.rollout.num_threads, self.log_file)
        from vllm.v1.engine.async_llm import AsyncLLM

        # Blocks this event loop until the engine serves: there is nothing else for it to do.
        self._engine = AsyncLLM.from_vllm_config(self.vllm_config(), disable_log_stats=True)
        self._is_asleep = self._is_updating = False
        await self._engine.update_weight_version(str(self.initial_version))
        self._policy_version = self.initial_version

    def vllm_config(self) -> Any:
        """The engine's arguments as vLLM takes them here. Raises vLLM's ValueError for what it refuses."""
        from vllm import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext

        # As a server has it: for other callers vLLM prefills 2,048 tokens at once on any GPU, not 8,192 on a large one.
        return AsyncEngineArgs(**self._engine_args()).create_engine_config(
            UsageContext.OPENAI_API_SERVER
        )

    def _engine_args(self) -> dict[str, Any]:
        from vllm.platforms import current_platform

        from vr1_ray.rollout.vllm_worker import BACKEND, BANNED_IDS_KEY

        args: dict[str, Any] = {
            "model": self.model.path,
            "dtype": self.model.dtype,
            "max_model_len": self.model.max_model_len,
            "max_num_seqs": self.rollout.max_num_seqs,
            "tensor_parallel_size": self.rollout.tensor_parallel_size,
            "gpu_memory_utilization": self.rollout.gpu_memory_utilization,
            "limit_mm_per_prompt": {"image": self.model.max_images, "video": 0},
            "logprobs_mode": "processed_logprobs",
            "generation_config": "vllm",  # sampling is what `SamplingSpec` says, nothing else
            "logits_processors": ["vr1_ray.rollout.vllm_worker:BanTokens"],
            "additional_config": {BANNED_IDS_KEY: list(self.adapter.banned_ids)},
            "worker_extension_cls": "vr1_ray.rollout.vllm_worker.WorkerExtension",
            "weight_transfer_config": {"backend": BACKEND},
            "disable_log_stats": True,
            "enable_sleep_mode": self.can_sleep and not current_platform.is_cpu(),
            **self.adapter.engine_options(),
        }
        if current_platform.is_cpu():
            args |= {
                "enforce_eager": True,
                # The worker inside the engine-core process: one process less that each token crosses.
                # Named by its class, because vLLM turns "uni" into "mp" on CPU to set OpenMP up, which
                # `set_environment` has done.
                "distributed_executor_backend": UNIPROC
                if self.rollout.tensor_parallel_size == 1
                else "mp",
                "kv_cache_memory_bytes": int(self.rollout.kv_cache_gib * 2**30),
                # A discarded chunk rewinds the request's generator, which a CPU generator can't.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(self.model.max_model_len, 4096),
                # A cached prefix changes the shapes of a prefill, and so its last bits.
                "enable_prefix_caching": False,
            }
        return args | self.rollout.options

    async def generate(
        self,
        prompt_id: str,
        rendered: RenderedPrompt,
        images: list[Any],
        spec: SamplingSpec,
        seeds: list[int],
    ) -> list[Sample]:
        self.check_call(prompt_id, rendered, len(images), spec)
        prompt: dict[str, Any] = {"prompt_token_ids": list(rendered.engine_ids)}
        if images:
            prompt["multi_modal_data"] = {"image": images}
        try:
            # Once per group: the image processor's work is shared by all samples of the prompt.
            [engine_input] = await self._engine.renderer.render_cmpl_async([prompt])
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._sample(prompt_id, rendered, engine_input, spec, seed))
                    for seed in seeds
                ]
        except* Exception as errors:
            from vllm.v1.engine.exceptions import EngineDeadError

            error = errors.exceptions[0]
            if isinstance(error, EngineDeadError) or self._engine.errored:
                raise EngineDiedError(
                    f"prompt {prompt_id}: generating: the vLLM engine died"
                ) from errors
            raise error from errors
        return [task.result() for task in tasks]

    async def _sample(
        self,
        prompt_id: str,
        rendered: RenderedPrompt,
        engine_input: Any,
        spec: SamplingSpec,
        seed: int,
    ) -> Sample:
        request_id = f"{prompt_id}-{next(self._request_numbers)}"
        params = self.sampling_params(spec, seed)
        stream = self._engine.generate(dict(engine_input), params, request_id)
        [output] = [output async for output in stream]  # FINAL_ONLY
        if tuple(output.prompt_token_ids) != rendered.prompt_ids:
            raise ValueError(
                f"prompt {prompt_id}: the engine made {counted(len(output.prompt_token_ids), 'prompt token')} of it, the "
                f"trainer {len(rendered.prompt_ids)}, or others; both must scale images and render alike "
                "(model.min_pixels, model.max_pixels, the processor of model.path)."
            )
        return _to_sample(output.outputs[0])

    def sampling_params(self, spec: SamplingSpec, seed: int) -> Any:
        """How vLLM is asked for one sample."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=spec.temperature,
            top_p=spec.top_p,
            seed=seed,
            max_tokens=spec.max_response_tokens,
            stop_token_ids=list(self.adapter.end_ids),
            logprobs=0,  # of the sampled token alone
            stop=list(spec.stop_texts),
            include_stop_str_in_output=bool(spec.stop_texts),
            detokenize=bool(spec.stop_texts),  # else only here, by the adapter
            skip_special_tokens=not spec.stop_texts,  # one of them may be such a token
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    async def sleep(self) -> None:
        self._policy_version = None
        try:
            # Level 2 drops the weights; level 1 would keep them in host memory, only to be overwritten.
            await self._engine.sleep(level=2)
        except Exception as error:
            raise EngineDiedError(f"the vLLM engine could not be put to sleep: {error}") from error
        self._is_asleep = True

    async def load_weights(
        self, version: int, buckets: Buckets, in_flight: Literal["wait", "abort"] = "wait"
    ) -> None:
        self._policy_version, self.received_crc = None, 0
        try:
            # Clears prefix, image-processor AND encoder caches: stale image features would go unnoticed.
            await self._engine.pause_generation(mode=in_flight, clear_cache=True)
            if self._is_asleep:
                await self._engine.wake_up(tags=["weights"])
            if self._is_updating:
                await self._engine.collective_rpc("abandon_weight_update")
            self._is_updating = True
            await self._engine.start_weight_update()
            async for bucket in iterate_buckets(buckets):
                crc = self.received_crc if self.rollout.verify_weights else None
                self.received_crc = await load_bucket(self._engine, bucket, crc)
            await self._engine.finish_weight_update(weight_version=str(version))
            self._is_updating = False
            found = await self._engine.get_weight_version()
            if found != str(version):
                raise EngineDiedError(f"the engine reports weights {found!r}")
            if self._is_asleep:
                await self._engine.wake_up(tags=["kv_cache"])
                self._is_asleep = False
        except BroadcastLostError:
            raise  # it stays paused, until a full set comes
        except Exception as error:
            # Stays paused: weights that are half new must not serve.
            raise EngineDiedError(
                f"loading the weights of policy version {version} failed: {error}"
            ) from error
        self._policy_version = version
        await self._engine.resume_generation()

    async def weight_checksum(self) -> str:
        # On CPU without the matrices, of which vLLM keeps a packed copy that no name leads to.
        found = await self._engine.compute_weight_checksums()
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    async def check_health(self) -> None:
        if self._engine is None:
            raise EngineDiedError("the engine is not started")
        try:
            await self._engine.check_health()
            await self._engine.is_paused()  # there and back: one that hangs does not answer
        except Exception as error:
            raise EngineDiedError(f"the vLLM engine is dead: {error}") from error

    async def close(self) -> None:
        engine, self._engine, self._policy_version = self._engine, None, None
        if engine is not None:
            engine.shutdown()


def _to_sample(output: Any) -> Sample:
    if output.finish_reason not in FINISH_REASONS:
        raise EngineDiedError(f"vLLM ended a response with finish_reason={output.finish_reason!r}")
    ids = tuple(output.token_ids)
    logprobs = tuple(
        entry[token].logprob for token, entry in zip(ids, output.logprobs or (), strict=True)
    )
    spans = tuple(
        TokenSpan(policy_version=int(span.version), start=span.start, end=span.end)
        for span in output.weight_versions or ()
    )
    return Sample(
        response_ids=ids,
        logprobs=logprobs,
        finish_reason=FINISH_REASONS[output.finish_reason],
        version_spans=spans,
    )
