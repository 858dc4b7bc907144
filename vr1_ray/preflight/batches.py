"""The batch arithmetic of a run: what one step asks of engines and ranks, stage by stage. No model is needed.

Memory is in `memory.py`; both end as rows of one table in `plan.py`.
"""

from collections.abc import Iterator

from vr1_ray.config import RunConfig, StageConfig
from vr1_ray.preflight.table import CheckRow


def batch_rows(config: RunConfig) -> Iterator[CheckRow]:
    """One row per stage of an RL run, one for the cold start, none for other kinds."""
    if config.kind == "sft":
        yield _demonstrations(config)
    if config.kind == "rl":
        for number, stage in enumerate(enabled_stages(config), start=1):
            yield _stage_batch(config, number, stage)


def enabled_stages(config: RunConfig) -> list[StageConfig]:
    """The stages that will be run, in order."""
    return [stage for stage in config.curriculum.stages if stage.enabled]


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
    if config.kind in ("rl", "eval"):
        # With autoscaling the others may wait for room.
        engines = rollout.min_engines or rollout.num_engines
        for one in (rollout.of_engine(index) for index in range(engines)):
            add(1, one.num_cpus_per_engine, own * one.num_gpus_per_engine)
    if config.kind == "rl":
        for name in {spec.pool for spec in config.rewards} & set(config.reward_pools):
            pool = config.reward_pools[name]
            add(pool.num_actors, pool.num_cpus_per_actor, pool.num_gpus_per_actor)
        if config.algorithm.kl_coef > 0:
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


def _demonstrations(config: RunConfig) -> CheckRow:
    rows, ranks = config.prompts_per_step, config.trainer.num_workers
    return _fed(
        rows,
        ranks,
        name="cold start: batch",
        value=f"{rows:,} demonstrations an update, {rows / ranks:g} a rank",
        what="demonstrations",
    )


def _stage_batch(config: RunConfig, number: int, stage: StageConfig) -> CheckRow:
    prompts, parts = config.prompts_per_step, config.trainer.mini_batches_per_step
    ranks, engines = config.trainer.num_workers, config.rollout.num_engines
    responses = prompts * stage.group_size
    each = prompts // parts
    value = (
        f"{prompts:,} prompts x {stage.group_size} = {responses:,} responses, {parts} updates; "
        f"{each * stage.group_size / ranks:.0f} rows a rank, {responses / engines:.0f} an engine"
    )
    return _fed(each, ranks, name=f"stage {number}: batch", value=value, what="prompts")


def _fed(units: int, ranks: int, *, name: str, value: str, what: str) -> CheckRow:
    """A group stays whole on one rank, so an update with fewer groups than ranks leaves some idle."""
    limit = f"ranks: {ranks}"
    if units >= ranks:
        return CheckRow(name=name, value=value, limit=limit)
    cure = f"{ranks - units} ranks get no {what} of an update; lower trainer.num_workers to {units}"
    return CheckRow(name=name, value=value, limit=limit, status="warning", cure=cure)
