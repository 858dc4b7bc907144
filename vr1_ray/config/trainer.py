"""Settings of the trainer: ranks, DeepSpeed, optimizer, and how far engine and trainer may be apart."""

from dataclasses import dataclass, field
from typing import Literal

# (mean, 0.99 quantile) in nats: what rounding may make of the log-probabilities of engine and trainer. Measured in bfloat16
# by examples/benchmarks/logprob_noise.py at 1,900 + 96 tokens, three random models of 0.13 B with the 7B's rotary frequencies:
# mean 0.026 to 0.035, quantile 0.09 to 0.16; with these frequencies rounded in the trainer alone 0.52 to 0.60 and 1.8 to 2.6.
# vr1-tiny: 0.002 and 0.04. So the limits are at least 2.2 times the noise, and the fault at least 4.4 times the limits. In float32
# the noise of such a model is 5e-6 and 2e-5, and vLLM on CPU stays below 1e-3 everywhere.
LOGPROB_LIMITS = {"float32": (1e-4, 1e-3), "bfloat16": (0.08, 0.4)}


@dataclass
class OptimizerConfig:
    """AdamW and the learning-rate schedule."""

    lr: float = 1e-6
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_ratio: float = 0.0  # share of all optimizer updates
    max_grad_norm: float = 1.0


@dataclass
class TrainerConfig:
    """The DeepSpeed trainer: one Ray actor a rank."""

    num_workers: int = 1
    num_cpus_per_worker: float = 1.0
    num_gpus_per_worker: float = 0.0
    num_threads: int = 1  # torch threads of each rank on CPU; fixed, so that sums come out the same
    resources: dict[str, float] = field(default_factory=dict)  # custom Ray resources of each rank
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    zero_stage: int = 0  # 0, 1, 2 or 3
    offload_optimizer: bool = False  # ZeRO on GPU: optimizer state in host memory
    mini_batches_per_step: int = 1  # optimizer updates per RL step
    max_tokens_per_micro_batch: int = 8192  # prompt + response tokens, padding counted
    logprob_chunk_tokens: int = 1024  # response positions whose logits exist at once
    gradient_checkpointing: bool = False
    # An update whose loss or gradient is not finite is skipped, with an alarm; more than so many in a row end the run.
    max_skipped_updates: int = 3
    # A rank that died or hangs: all ranks are replaced, and the run goes back to its last checkpoint.
    max_restarts: int = 3  # times that a run does so
    collective_timeout_seconds: float = 1800.0  # so long others wait for a rank: it hangs
    # Engine and trainer may differ by so much, in nats, over the tokens of a step; more is an alarm. None: LOGPROB_LIMITS.
    alarm_logprob_mean: float | None = None
    alarm_logprob_p99: float | None = None  # 0.99 quantile
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
