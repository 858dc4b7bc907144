"""What samples responses: the `RolloutEngine` interface.

An engine holds weights and nothing of the run: how to sample travels with each call (`SamplingSpec`), so
a new stage of the curriculum rebuilds nothing, and calls with different response budgets and group sizes
overlap freely. It knows no Ray, no rewards and no curriculum.

To add one, write one file and a row in `vr1_ray/rollout/__init__.py`:

    class MyEngine(RolloutEngine):
        async def start(self): ...                      # load; after it `policy_version` is set
        async def generate(self, prompt_id, rendered, images, spec, seeds): ...   # one Sample per seed
        async def load_weights(self, version, buckets, in_flight="wait"): ...   # wakes it if it sleeps
        async def sleep(self): ...                      # give the memory of weights and cache back
        async def weight_checksum(self): ...
        async def check_health(self): ...
        async def close(self): ...

It takes no `rollout.options` unless its `option_names` says which.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.models import ModelAdapter, RenderedPrompt
from vr1_ray.types import SamplingSpec, TokenSpan
from vr1_ray.weights.broadcast import BroadcastBucket
from vr1_ray.weights.cuda_ipc import SharedBucket
from vr1_ray.weights.packing import PackedBucket
from vr1_ray.wording import counted

Bucket = PackedBucket | SharedBucket | BroadcastBucket
Buckets = Iterable[Bucket] | AsyncIterable[Bucket]


class EngineDiedError(RuntimeError):
    """The engine can't go on; only `close` and a new `start` help. Its responses in flight are lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One sampled response.

    `logprobs` are over the vocabulary without the banned ids, after temperature; for greedy sampling
    (temperature 0) at temperature 1.

    Example:
        Sample(response_ids=(5, 9, 2), logprobs=(-0.1, -2.0, -0.3), finish_reason="finished",
               version_spans=(TokenSpan(policy_version=3, start=0, end=3),))
    """

    response_ids: tuple[int, ...]  # [T], with the end token if it finished
    logprobs: tuple[float, ...]  # [T]
    finish_reason: Literal["finished", "truncated", "aborted"]
    version_spans: tuple[TokenSpan, ...]


class RolloutEngine(ABC):
    """One engine. Constructing it is cheap; `start` loads the model of `model.path`.

    `initial_version` is the policy version those weights are. An engine that is started again in the
    middle of a run has old weights: it must get `load_weights` before it may serve.

    One that shares its device with the trainer (`can_sleep`) gives its memory back between `sleep` and the next
    `load_weights`.

    Example:
        engine = ROLLOUT_ENGINES["hf"](model=config.model, rollout=config.rollout, adapter=adapter)
        await engine.start()
        samples = await engine.generate("9f0c", adapter.render(prompt), images, spec, seeds=[7, 8])
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        rollout: RolloutConfig,
        adapter: ModelAdapter,
        initial_version: int = 0,
        can_sleep: bool = False,
        log_file: str | None = None,
    ) -> None:
        self.model = model
        self.rollout = rollout
        self.adapter = adapter
        self.initial_version = initial_version
        self.can_sleep = can_sleep
        self.log_file = log_file  # where the engine's own talk goes; None: warnings to stderr
        self.received_crc = 0  # with rollout.verify_weights: of the bytes the last load brought
        self._policy_version: int | None = None

    @classmethod
    def option_names(cls) -> tuple[str, ...] | None:
        """The names that `rollout.options` may have with this engine; None where that can't be known here."""
        return ()

    @property
    def policy_version(self) -> int | None:
        """The version of the weights; None before `start`, after `sleep`, and after a `load_weights` that failed."""
        return self._policy_version

    @abstractmethod
    async def start(self) -> None:
        """Load the model. May be called again after `close`."""

    @abstractmethod
    async def generate(
        self,
        prompt_id: str,
        rendered: RenderedPrompt,
        images: list[Any],
        spec: SamplingSpec,
        seeds: list[int],
    ) -> list[Sample]:
        """One sample per seed, in order; `images` as `adapter.open_images` gives them.

        The same seed gives the same response, whatever else the engine is doing. Raises ValueError if the
        prompt as the engine expanded it is not `rendered.prompt_ids`, EngineDiedError if the engine died.
        """

    @abstractmethod
    async def load_weights(
        self, version: int, buckets: Buckets, in_flight: Literal["wait", "abort"] = "wait"
    ) -> None:
        """Take over a full set of weights, named as in the Hugging Face checkpoint, as version `version`.

        Responses in flight are finished first, or aborted; new ones wait. Nothing computed with the old
        weights is used after it. An engine that sleeps wakes in the order its memory is needed: room for the
        weights, the weights, then the key-value cache.

        If it raises, `policy_version` is None and the engine must be restarted; after a BroadcastLostError it is
        enough to load a full set again.
        """

    @abstractmethod
    async def sleep(self) -> None:
        """Give the memory of weights and key-value cache back. Both are lost: only `load_weights` wakes it.

        There must be no response in flight. Raises EngineDiedError if the engine can't; it must be restarted then.
        """

    @abstractmethod
    async def weight_checksum(self) -> str:
        """A hash of the weights as the engine holds them: equal for engines of equal build and weights."""

    @abstractmethod
    async def check_health(self) -> None:
        """Raise EngineDiedError if the engine can't serve."""

    @abstractmethod
    async def close(self) -> None:
        """Stop the engine and all its processes. May be called twice."""

    def check_call(
        self, prompt_id: str, rendered: RenderedPrompt, num_images: int, spec: SamplingSpec
    ) -> None:
        """What every engine refuses before sampling."""
        if self._policy_version is None:
            raise EngineDiedError(
                f"prompt {prompt_id}: the engine has no complete weights; start it, or load them again"
            )
        needed = len(rendered.prompt_ids) + spec.max_response_tokens
        if needed > self.model.max_model_len:
            raise ValueError(
                f"prompt {prompt_id}: {counted(len(rendered.prompt_ids), 'prompt token')} and "
                f"max_response_tokens={spec.max_response_tokens} make {needed}, more than "
                f"model.max_model_len={self.model.max_model_len}; raise it, or shorten the stage or the prompt."
            )
        if num_images > self.model.max_images:
            raise ValueError(
                f"prompt {prompt_id}: {num_images} images, over model.max_images={self.model.max_images}; raise it."
            )


async def iterate_buckets(buckets: Buckets) -> AsyncIterator[Bucket]:
    """Buckets one at a time, whether they come from a list or as they arrive."""
    if isinstance(buckets, AsyncIterable):
        async for bucket in buckets:
            yield bucket
    else:
        for bucket in buckets:
            yield bucket
