"""Settings of the rollout engines: how many, where, how they sample, and what is done about dead ones."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vr1_ray.config.ranges import Above0, Above0To1, CountFrom0, CountFrom1, From0


@dataclass
class EngineHealthConfig:
    """When an engine counts as dead, how often it is started again, and when the run gives up."""

    probe_seconds: Above0 = 10.0  # between two probes of an engine; probes are no requests
    probe_timeout_seconds: Above0 = 30.0  # an engine that has not answered by then is suspect
    probes_until_dead: CountFrom1 = 3  # failed in a row; a process that is gone needs none
    max_restarts: CountFrom0 = (
        5  # of one engine within `restart_window_seconds`; then it is given up
    )
    restart_window_seconds: Above0 = 3600.0  # older restarts are forgotten
    restart_delay_seconds: From0 = 1.0  # before the first restart; doubled for each further one
    min_healthy: CountFrom1 = 1  # fewer that serve, for longer than `recovery_seconds`, end the run
    recovery_seconds: Above0 = 900.0  # must cover the start of an engine


@dataclass
class RolloutConfig:
    """The rollout engines: how many, how large, how they sample."""

    engine: str = "vllm"  # a row of vr1_ray/rollout, or package.module:Name
    num_engines: CountFrom1 = 1  # at the start
    min_engines: CountFrom0 = (
        0  # the least that autoscaling leaves, by how long trainer and engines wait
    )
    max_engines: CountFrom0 = 0  # the most that autoscaling starts; 0: no autoscaling
    num_cpus_per_engine: From0 = 1.0  # reserved
    num_gpus_per_engine: From0 = 0.0  # reserved; 0: it samples on CPU
    resources: dict[str, From0] = field(default_factory=dict)  # custom Ray resources of each engine
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    num_threads: CountFrom1 = 1  # CPU threads of one engine
    tensor_parallel_size: CountFrom1 = (
        1  # GPUs (on CPU processes) that one engine's model is cut over
    )
    # Engines of several sizes: what each is instead, in turn, also those that join later; its CPUs and GPUs are those
    # of `tensor_parallel_size` in proportion. Empty: all are alike.
    tensor_parallel_sizes: list[CountFrom1] = field(default_factory=list)
    max_concurrent_responses: CountFrom1 = (
        512  # in flight on one engine; more than it decodes at once, to keep it busy
    )
    max_num_seqs: CountFrom1 = 256  # sequences an engine decodes at once
    kv_cache_gib: Above0 = (
        1.0  # key-value cache of CPU engines; on GPU gpu_memory_utilization rules
    )
    gpu_memory_utilization: Above0To1 = 0.85  # share of a GPU's memory that an engine takes
    temperature: From0 = 1.0  # of sampling in training; must be above 0
    top_p: Above0To1 = (
        1.0  # must stay 1 in training: engine and trainer would disagree on the support
    )
    save: Literal["none", "sampled", "all"] = "sampled"  # saved rollouts, to browse and to replay
    save_groups_per_step: CountFrom0 = 2  # with save=sampled
    # Arguments of the engine beside these: vLLM's engine arguments by name; hf takes none. They win over all others.
    options: dict[str, Any] = field(default_factory=dict)
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
