"""Settings of the reference policy."""

from dataclasses import dataclass, field

from vr1_ray.config.ranges import CountFrom0, CountFrom1, From0


@dataclass
class ReferenceConfig:
    """The frozen reference policy; its actors start only if `algorithm.kl_coef` is above 0."""

    num_actors: CountFrom1 = 1  # that score a step's rollouts side by side
    sharded: bool = False  # one policy over all actors (ZeRO-3), not one in each: for 32B and more
    num_cpus_per_actor: From0 = 0.5  # reserved; 0 reserves none
    num_gpus_per_actor: From0 = 0.0  # reserved; 0: it computes on CPU
    num_threads: CountFrom1 = 1  # torch threads of each actor on CPU
    max_restarts: CountFrom0 = 3  # of each actor, 0: never; the step goes on with the same numbers
    resources: dict[str, From0] = field(default_factory=dict)  # custom Ray resources of each actor
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    # The policy as it then is becomes the reference. Paper does not say; the cold-started one is kept by default.
    reset_at_stage_change: bool = False
