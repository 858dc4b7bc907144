"""Settings of the reference policy."""

from dataclasses import dataclass, field


@dataclass
class ReferenceConfig:
    """The frozen reference policy; its actors start only if `algorithm.kl_coef` is above 0."""

    num_actors: int = 1
    sharded: bool = False  # one policy over all actors (ZeRO-3), not one in each: for 32B and more
    num_cpus_per_actor: float = 0.5
    num_gpus_per_actor: float = 0.0
    num_threads: int = 1
    max_restarts: int = 3  # of each actor; the step goes on with the same numbers
    resources: dict[str, float] = field(default_factory=dict)  # custom Ray resources of each actor
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    # Paper does not say; the cold-started policy is kept by default.
    reset_at_stage_change: bool = False
