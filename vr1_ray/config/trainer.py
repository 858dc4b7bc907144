"""Settings of the trainer: ranks, DeepSpeed, optimizer, and how far engine and trainer may be apart."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from vr1_ray.config.ranges import (
    Above0,
    Above0To1,
    CountFrom0,
    CountFrom1,
    From0,
    From0Below1,
    Range,
    Share,
)

# (mean, 0.99 quantile) in nats: what rounding may make of the log-probabilities of engine and trainer. Measured in bfloat16
# by examples/benchmarks/logprob_noise.py at 1,900 + 96 tokens, three random models of 0.13 B with the 7B's rotary frequencies:
# mean 0.026 to 0.035, quantile 0.09 to 0.16; with these frequencies rounded in the trainer alone 0.52 to 0.60 and 1.8 to 2.6.
# vr1-tiny: 0.002 and 0.04. So the limits are at least 2.2 times the noise, and the fault at least 4.4 times the limits. In float32
# the noise of such a model is 5e-6 and 2e-5, and vLLM on CPU stays below 1e-3 everywhere.
LOGPROB_LIMITS = {"float32": (1e-4, 1e-3), "bfloat16": (0.08, 0.4)}


@dataclass
class OptimizerConfig:
    """AdamW and the learning-rate schedule."""

    lr: Above0To1 = 1e-6  # the peak, after warm-up
    # AdamW's two decay rates, of the mean and of the square of the gradient
    betas: list[From0Below1] = field(default_factory=lambda: [0.9, 0.999])
    eps: Above0 = 1e-8  # AdamW's, added to the denominator
    weight_decay: From0 = 0.0  # AdamW's; 0: none
    # After warm-up: the peak to the end, or a cosine down to 0 at the last update. A run that is lengthened goes on from
    # the rate it has, down to 0 at the new end.
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_ratio: Share = 0.0  # share of all optimizer updates
    max_grad_norm: From0 = 1.0  # larger gradients are scaled down to it; 0: none is


@dataclass
class TrainerConfig:
    """The DeepSpeed trainer: one Ray actor a rank."""

    num_workers: CountFrom1 = 1  # ranks
    num_cpus_per_worker: From0 = 1.0  # reserved by each rank
    num_gpus_per_worker: From0 = 0.0  # reserved by each rank; 0: it computes on CPU
    num_threads: CountFrom1 = (
        1  # torch threads of each rank on CPU; fixed, so that sums come out the same
    )
    resources: dict[str, From0] = field(default_factory=dict)  # custom Ray resources of each rank
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    zero_stage: Annotated[int, Range(least=0, most=3)] = 0  # DeepSpeed's ZeRO stage; 0: none
    offload_optimizer: bool = False  # ZeRO on GPU: optimizer state in host memory
    mini_batches_per_step: CountFrom1 = 1  # optimizer updates per RL step
    max_tokens_per_micro_batch: CountFrom1 = 8192  # prompt (once a group) + response tokens
    logprob_chunk_tokens: CountFrom1 = 1024  # response positions whose logits exist at once
    gradient_checkpointing: bool = False  # less memory for activations, about a third more time
    # An update whose loss or gradient is not finite is skipped, with an alarm; more than so many in a row end the run.
    max_skipped_updates: CountFrom0 = 3
    # A rank that died or hangs: all ranks are replaced, and the run goes back to its last checkpoint.
    max_restarts: CountFrom0 = 3  # times that a run does so; 0: never
    collective_timeout_seconds: Above0 = 1800.0  # so long others wait for a rank: it hangs
    # Engine and trainer may differ by so much, in nats, over the tokens of a step; more is an alarm. None: LOGPROB_LIMITS.
    alarm_logprob_mean: Above0 | None = None
    alarm_logprob_p99: Above0 | None = None  # the same of the 0.99 quantile
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
