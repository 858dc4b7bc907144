"""Attention kernels against eager in float32, on long rows with large pictures, and what a pass costs with each."""

from typing import Any

import torch

from examples.gpu_check.bench import Bench, CheckFailed, NotPossible
from examples.gpu_check.models import SHAPES, make_prompts, random_model, random_responses
from examples.gpu_check.parts.rate import seconds_of
from examples.gpu_check.scoring import (
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

    def score(self, dtype: str, attention: str) -> tuple[Logprobs, float]:
        """Log-probabilities of all rows, and the seconds of a forward and backward pass over one."""
        bench = self.bench
        model = ModelConfig(
            path=str(self.folder),
            dtype=dtype,  # type: ignore[arg-type]
            attention=attention,  # type: ignore[arg-type]
            min_pixels=bench.pick(cpu=784, gpu=1_000_000),
            max_model_len=8192,
        )
        policy = ReferencePolicy(model=model, trainer=trainer_config(bench))
        rows, images = (
            rows_of_responses(policy.adapter, self.prompts, self.responses),
            images_of(self.prompts),
        )
        found = policy.compute_logprobs(rows, images)
        batches = MicroBatches(
            rows[:1],
            VisionInputs(policy.adapter, images),
            policy.adapter,
            max_tokens=1,
            device=policy.device,
        )
        _, batch = batches.make(0)
        policy.policy.requires_grad_(True)

        def train() -> None:
            policy.policy.zero_grad(set_to_none=True)
            policy.policy(batch)[0].mean().backward()

        return found, seconds_of(bench, train, repeats=3)


def check(bench: Bench) -> None:
    """The rows `sdpa` and `flash_attention`."""
    subject: Subject | None = None
    expected: Logprobs = []
    mean = 0.0
    with bench.row("sdpa", is_vital=True) as figures:
        subject = Subject(bench)
        expected, _ = subject.score("float32", "eager")
        mean = _compare(subject, "sdpa", expected, figures)
    with bench.row("flash_attention") as figures:
        if "flash-attn" not in bench.packages:
            raise NotPossible("flash-attn is not installed; pip install -e '.[flash]', see setup.py")
        if not bench.is_gpu:
            raise NotPossible("flash-attn needs a GPU")
        assert subject is not None
        found = _compare(subject, "flash_attention_2", expected, figures)
        if found > WORSE_THAN_SDPA * mean:
            raise CheckFailed(f"it is off float32 by {found:.3g} nats in the mean, sdpa by {mean:.3g}")


def _compare(
    subject: Subject, attention: str, expected: Logprobs, figures: dict[str, Any]
) -> float:
    dtype = subject.bench.dtype
    found, seconds = subject.score(dtype, attention)
    figures |= differences(found, expected) | {"dtype": dtype, "forward_backward_seconds": seconds}
    if torch.cuda.is_available():
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    require_close(figures, dtype)
    return float(figures["mean"])
