"""Settings of the rollout engines: how many, where, how they sample, and what is done about dead ones."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass
class EngineHealthConfig:
    """When an engine counts as dead, how often it is started again, and when the run gives up."""

    probe_seconds: float = 10.0  # between two probes of an engine; probes are no requests
    probe_timeout_seconds: float = 30.0  # an engine that has not answered by then is suspect
    probes_until_dead: int = 3  # failed in a row; a process that is gone needs none
    max_restarts: int = 5  # of one engine within `restart_window_seconds`; then it is given up
    restart_window_seconds: float = 3600.0
    restart_delay_seconds: float = 1.0  # before the first restart; doubled for each further one
    min_healthy: int = 1  # fewer that serve, for longer than `recovery_seconds`, end the run
    recovery_seconds: float = 900.0  # must cover the start of an engine


@dataclass
class RolloutConfig:
    """The rollout engines: how many, how large, how they sample."""

    engine: str = "vllm"  # a row of vr1_ray/rollout, or package.module:Name
    num_engines: int = 1  # at the start
    min_engines: int = 0  # autoscaling between min and max, by how long trainer and engines wait;
    max_engines: int = 0  # 0: none
    num_cpus_per_engine: float = 1.0
    num_gpus_per_engine: float = 0.0
    resources: dict[str, float] = field(default_factory=dict)  # custom Ray resources of each engine
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    num_threads: int = 1  # CPU threads of one engine
    tensor_parallel_size: int = 1
    # Engines of several sizes: what each is instead, in turn, also those that join later; its CPUs and GPUs are those
    # of `tensor_parallel_size` in proportion. Empty: all are alike.
    tensor_parallel_sizes: list[int] = field(default_factory=list)
    max_concurrent_responses: int = (
        512  # in flight on one engine; more than it decodes at once, to keep it busy
    )
    max_num_seqs: int = 256  # sequences an engine decodes at once
    kv_cache_gib: float = 1.0  # CPU engines; on GPU gpu_memory_utilization rules
    gpu_memory_utilization: float = 0.85
    temperature: float = 1.0
    top_p: float = 1.0  # must stay 1 in training: engine and trainer would disagree on the support
    save: Literal["none", "sampled", "all"] = "sampled"  # saved rollouts, to browse and to replay
    save_groups_per_step: int = 2  # with save=sampled
    options: dict[str, Any] = field(default_factory=dict)  # passed to the engine as they are
    verify_weights: bool = (
        False  # compare checksums of all engines after each sync; takes seconds a 10 GB
    )
    # How the trainer's weights reach the engines: through Ray's object store, by any engine at any time; with
    # cluster.placement=colocated, as handles of the trainer's own GPU memory (ipc: CUDA IPC), without a copy in between;
    # apart, by one broadcast to all engines of a sync, between GPUs (nccl) or without any (gloo).
    weight_transport: Literal["object_store", "ipc", "nccl", "gloo"] = "object_store"
    health: EngineHealthConfig = field(default_factory=EngineHealthConfig)

    @property
    def sizes(self) -> list[int]:
        """The tensor parallel sizes that engines have, in turn."""
        return self.tensor_parallel_sizes or [self.tensor_parallel_size]

    def of_engine(self, index: int) -> "RolloutConfig":
        """The settings of one engine: its own size, CPUs and GPUs.

        Example:
            RolloutConfig(num_gpus_per_engine=2, tensor_parallel_size=2, tensor_parallel_sizes=[2, 4]).of_engine(1)
            # 4 GPUs, tensor_parallel_size 4
        """
        size = self.sizes[index % len(self.sizes)]
        share = size / self.tensor_parallel_size
        return replace(
            self,
            tensor_parallel_size=size,
            tensor_parallel_sizes=[],
            num_cpus_per_engine=self.num_cpus_per_engine * share,
            num_gpus_per_engine=self.num_gpus_per_engine * share,
            resources={name: amount * share for name, amount in self.resources.items()},
        )
