"""Attention kernels against eager in float32, on long rows with large pictures, and what a pass costs with each."""

from typing import Any

import torch

from examples.gpu_check.bench import Bench, CheckFailedError, NotPossibleError
from examples.gpu_check.models import SHAPES, make_prompts, random_model, random_responses
from examples.gpu_check.parts.rate import seconds_of
from examples.gpu_check.scoring import (
    LIMITS,
    Logprobs,
    differences,
    images_of,
    require_close,
    rows_of_responses,
    trainer_config,
)
from vr1_ray.config import ModelConfig
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.reference import ReferencePolicy
from vr1_ray.training.scoring import MicroBatches

WORSE_THAN_SDPA = 2.0  # of the mean difference from float32: what another kernel may lose more


class Subject:
    """One model and some rows, scored with any attention."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        shape = SHAPES[bench.pick(cpu="tiny", gpu="small")]
        self.folder = random_model(
            bench.folder / "model", shape, dtype="float32", device=bench.device
        )
        self.prompts = make_prompts(4)
        self.responses = random_responses(self.prompts, bench.pick(cpu=64, gpu=2048))

    def policy(self, dtype: str, attention: str) -> ReferencePolicy:
        """The model with one kernel, without DeepSpeed."""
        model = ModelConfig(
            path=str(self.folder),
            dtype=dtype,  # type: ignore[arg-type]
            attention=attention,  # type: ignore[arg-type]
            min_pixels=self.bench.pick(cpu=784, gpu=1_000_000),
            max_model_len=8192,
        )
        policy = ReferencePolicy(model=model, trainer=trainer_config(self.bench))
        self.rows = rows_of_responses(policy.adapter, self.prompts, self.responses)
        return policy

    def score(self, policy: ReferencePolicy) -> Logprobs:
        """Log-probabilities of all rows."""
        return policy.compute_logprobs(self.rows, images_of(self.prompts))

    def seconds(self, policy: ReferencePolicy) -> float:
        """Of a forward and backward pass over one row."""
        vision = VisionInputs(policy.adapter, images_of(self.prompts))
        batches = MicroBatches(
            self.rows[:1], vision, policy.adapter, max_tokens=1, device=policy.device
        )
        _, batch = batches.make(0)
        policy.policy.requires_grad_(True)

        def train() -> None:
            policy.policy.zero_grad(set_to_none=True)
            policy.policy(batch)[0].mean().backward()

        return seconds_of(self.bench, train, repeats=3)


def check(bench: Bench) -> None:
    """The rows `sdpa` and `flash_attention`."""
    subject: Subject | None = None
    expected: Logprobs = []
    mean = 0.0
    with bench.row("sdpa", is_vital=True) as figures:
        subject = Subject(bench)
        expected = subject.score(subject.policy("float32", "eager"))
        mean = _compare(subject, "sdpa", expected, figures)
    with bench.row("flash_attention") as figures:
        if "flash-attn" not in bench.packages:
            raise NotPossibleError(
                "flash-attn is not installed; pip install -e '.[flash]', see setup.py"
            )
        if not bench.is_gpu:
            raise NotPossibleError("flash-attn needs a GPU")
        assert subject is not None
        found = _compare(subject, "flash_attention_2", expected, figures)
        if found > WORSE_THAN_SDPA * mean:
            raise CheckFailedError(
                f"it is off float32 by {found:.3g} nats in the mean, sdpa by {mean:.3g}"
            )


def _compare(
    subject: Subject, attention: str, expected: Logprobs, figures: dict[str, Any]
) -> float:
    dtype = subject.bench.dtype
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    policy = subject.policy(dtype, attention)
    figures |= differences(subject.score(policy), expected) | {"dtype": dtype}
    figures["forward_backward_seconds"] = subject.seconds(policy)
    if torch.cuda.is_available():
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    require_close(figures, LIMITS[dtype])
    return float(figures["mean"])
