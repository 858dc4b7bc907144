"""The trainer's log-probabilities beside an engine's or another's: rows, differences, and what is too much."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.gpu_check.bench import Bench, CheckFailedError
from vr1_ray.config import AlgorithmConfig, ModelConfig, OptimizerConfig, TrainerConfig
from vr1_ray.config.trainer import LOGPROB_LIMITS
from vr1_ray.types import EncodedImage, Prompt, TrainRow

if TYPE_CHECKING:  # they bring torch
    from vr1_ray.models import ModelAdapter
    from vr1_ray.rollout import Sample

Logprobs = Sequence[Sequence[float]]  # of each row, of each response token
RENDEZVOUS_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What two log-probabilities of a token may differ by, in nats: mean, 0.99 quantile, maximum.

    Example:
        Limits(mean=0.1, quantile=0.5)
    """

    mean: float
    quantile: float
    maximum: float = float("inf")


# Those of a run's alarm, until there are figures of GPUs. On CPU the 0.2 B model in bfloat16 is off itself in float32 by
# 0.030 in the mean, p99 0.096.
LIMITS = {
    dtype: Limits(mean=mean, quantile=quantile)
    for dtype, (mean, quantile) in LOGPROB_LIMITS.items()
}
# The same kernels on the same weights, in any dtype.
SAME_KERNELS = Limits(mean=1e-3, quantile=5e-3)


def differences(found: Logprobs, expected: Logprobs) -> dict[str, float]:
    """Mean, 0.99 quantile and maximum of |found - expected| over all tokens, and their number."""
    pairs = zip(found, expected, strict=True)
    apart = np.concatenate([np.abs(np.subtract(one, other)) for one, other in pairs])
    return {
        "mean": float(apart.mean()),
        "p99": float(np.quantile(apart, 0.99)),
        "max": float(apart.max()),
        "tokens": apart.size,
    }


def require_close(figures: dict[str, Any], limits: Limits) -> None:
    """Raise CheckFailedError if figures of `differences` (those that are there) are beyond the limits."""
    wanted = {"mean": limits.mean, "p99": limits.quantile, "max": limits.maximum}
    for name, limit in wanted.items():
        value = figures.get(name, 0.0)
        if not value <= limit:
            raise CheckFailedError(
                f"log-probabilities differ by {value:.3g} nats ({name}), limit {limit:g}"
            )


def rows_of_samples(
    adapter: "ModelAdapter", prompts: Sequence[Prompt], samples: "Sequence[Sequence[Sample]]"
) -> list[TrainRow]:
    """A training row for each sample, with advantages of both signs."""
    rows = []
    for prompt, group in zip(prompts, samples, strict=True):
        prompt_ids = adapter.render(prompt).prompt_ids
        for index, sample in enumerate(group):
            rows.append(
                TrainRow(
                    row_id=f"{prompt.prompt_id}/{index}",
                    prompt_ids=prompt_ids,
                    response_ids=sample.response_ids,
                    image_hashes=tuple(image.content_hash for image in prompt.images),
                    advantage=(-1.0) ** index,
                    rollout_logprobs=sample.logprobs,
                )
            )
    return rows


def rows_of_responses(
    adapter: "ModelAdapter", prompts: Sequence[Prompt], responses: Sequence[tuple[int, ...]]
) -> list[TrainRow]:
    """The same of given responses, one for each prompt."""
    return [
        TrainRow(
            row_id=prompt.prompt_id,
            prompt_ids=adapter.render(prompt).prompt_ids,
            response_ids=response,
            image_hashes=tuple(image.content_hash for image in prompt.images),
            advantage=(-1.0) ** index,
        )
        for index, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
    ]


def images_of(prompts: Sequence[Prompt]) -> dict[str, EncodedImage]:
    """All pictures of the prompts by content hash."""
    return {image.content_hash: image for prompt in prompts for image in prompt.images}


def trainer_config(bench: Bench, **settings: Any) -> TrainerConfig:
    """A trainer of this device, whose updates move every weight a little."""
    given = {
        "num_threads": bench.pick(cpu=1, gpu=4),
        "max_tokens_per_micro_batch": bench.pick(cpu=2048, gpu=8192),
        "optimizer": OptimizerConfig(lr=1e-4),
    }
    return TrainerConfig(**(given | settings))


@contextmanager
def one_trainer(
    bench: Bench, model: ModelConfig, *, rank: int = 0, world_size: int = 1, **settings: Any
) -> Iterator[Any]:
    """A PolicyTrainer of this process, whose memory is free afterwards. `init_distributed` comes first."""
    import torch

    from vr1_ray.algorithms import make_algorithm
    from vr1_ray.training.policy_trainer import PolicyTrainer

    trainer = PolicyTrainer(
        model=model,
        trainer=trainer_config(bench, **settings),
        algorithm=make_algorithm(AlgorithmConfig(kl_coef=0.0)),
        seed=0,
        total_updates=10,
        rank=rank,
        world_size=world_size,
    )
    try:
        yield trainer
    finally:
        trainer.engine.destroy()
        del trainer
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def alone() -> Iterator[None]:
    """A process group of this process alone."""
    from vr1_ray.training.distributed import LOOPBACK, init_distributed, listen, shut_down

    listener = listen(LOOPBACK)
    init_distributed(
        rank=0,
        world_size=1,
        master_addr=LOOPBACK,
        master_port=listener.getsockname()[1],
        timeout_seconds=RENDEZVOUS_SECONDS,
        listener=listener,
    )
    try:
        yield
    finally:
        shut_down()
