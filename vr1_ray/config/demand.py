"""What a config asks for: stages, updates and their rows, and the CPUs and GPUs that its actors reserve."""

import math

from vr1_ray.config.schema import RunConfig, StageConfig


def enabled_stages(config: RunConfig) -> list[StageConfig]:
    """The stages that will be run, in order."""
    return [stage for _, stage in keyed_stages(config)]


def keyed_stages(config: RunConfig) -> list[tuple[str, StageConfig]]:
    """The stages that will be run, in order, each with its key: its place in the list, counted from 0, as in an override.

    Everywhere else "stage 1" is the first of these stages.
    """
    return [
        (f"curriculum.stages[{place}]", stage)
        for place, stage in enumerate(config.curriculum.stages)
        if stage.enabled
    ]


def num_updates(config: RunConfig, num_demonstrations: int) -> int:
    """Optimizer updates of a cold start: `max_steps` if given, else as many as `num_epochs` take."""
    wanted = _rows_of_epochs(config, num_demonstrations)
    return config.max_steps or math.ceil(wanted / config.prompts_per_step)


def rows_of_update(config: RunConfig, num_demonstrations: int, update: int) -> int:
    """Demonstrations of an update, counted from 1. The last one takes what the epochs have left, so that they are whole.

    Example:
        [rows_of_update(config, 63, update) for update in (1, 2, 3, 4)]  # 2 epochs, 32 an update: 32, 32, 32, 30
    """
    if config.max_steps:
        return config.prompts_per_step
    left = _rows_of_epochs(config, num_demonstrations) - (update - 1) * config.prompts_per_step
    return min(config.prompts_per_step, left)


def _rows_of_epochs(config: RunConfig, num_demonstrations: int) -> int:
    return max(1, round(config.num_epochs * num_demonstrations))


def demand(config: RunConfig) -> dict[str, float]:
    """CPUs and GPUs that the actors of a run reserve, all together."""
    counts = {"CPU": 0.0, "GPU": 0.0}

    def add(actors: int, cpus: float, gpus: float) -> None:
        counts["CPU"] += actors * cpus
        counts["GPU"] += actors * gpus

    trainer, rollout, reference = config.trainer, config.rollout, config.reference
    own = (
        0 if config.is_colocated else 1
    )  # whether engines and reference have GPUs that no trainer rank has
    if config.kind in ("sft", "rl"):
        add(trainer.num_workers, trainer.num_cpus_per_worker, trainer.num_gpus_per_worker)
    if config.kind in ("rl", "eval", "filter"):
        # With autoscaling the others may wait for room.
        engines = rollout.min_engines or rollout.num_engines
        for one in (rollout.of_engine(index) for index in range(engines)):
            add(1, one.num_cpus_per_engine, own * one.num_gpus_per_engine)
    if config.kind in ("rl", "filter"):
        for name in {spec.pool for spec in config.rewards} & set(config.reward_pools):
            pool = config.reward_pools[name]
            add(pool.num_actors, pool.num_cpus_per_actor, pool.num_gpus_per_actor)
        if config.kind == "rl" and config.algorithm.kl_coef > 0:
            gpus = own * reference.num_gpus_per_actor
            add(reference.num_actors, reference.num_cpus_per_actor, gpus)
    if (
        config.kind == "bridge"
    ):  # both stages of the MLLM, the reasoner, the store, a task that reads
        mllm, reasoner = config.bridge.mllm, config.bridge.reasoner
        add(2 * mllm.num_actors, mllm.num_cpus_per_actor, 0.0)
        add(reasoner.num_actors, reasoner.num_cpus_per_actor, 0.0)
        counts["CPU"] += 1.1
    return counts


def num_gpus(config: RunConfig) -> float:
    """GPUs that the actors of a run reserve, all together."""
    return demand(config)["GPU"]
