"""Rows of the plan about a GPU that trainer, reference and engine share: what is on it at each of their turns."""

from collections.abc import Iterator

from vr1_ray.config import RunConfig
from vr1_ray.preflight.limits import Machine, gib, judged
from vr1_ray.preflight.memory import (
    ENGINE_ASLEEP,
    GIB,
    reference_bytes,
    reference_weight_bytes,
    trainer_memory,
)
from vr1_ray.preflight.model_size import ModelSize
from vr1_ray.preflight.table import CheckRow
from vr1_ray.preflight.trainer_plan import trainer_shape


def colocated_rows(config: RunConfig, machine: Machine, size: ModelSize) -> Iterator[CheckRow]:
    """The GPU while engines sample, and while trainer and reference work; nothing without GPUs.

    The trainer's states and the reference's weights stay on it all the time. An engine takes its share of the whole
    GPU (`rollout.gpu_memory_utilization`) while it is awake, and hardly anything while it sleeps.
    """
    if not config.trainer.num_gpus_per_worker:
        return
    gpu = machine.gpu_gib * GIB
    trainer = trainer_memory(size, trainer_shape(config, size))
    resting, working = _reference(config, size)
    engine = config.rollout.gpu_memory_utilization * gpu
    yield judged(
        "shared GPU: engines sample", trainer.at_rest + resting + engine, gpu, _cure(config)
    )
    yield CheckRow(name="  trainer at rest", value=gib(trainer.at_rest))
    if working:
        yield CheckRow(name="  reference at rest", value=gib(resting))
    yield CheckRow(name="  engine awake", value=gib(engine))
    peak = max(trainer.device + resting, trainer.at_rest + working)
    yield judged("shared GPU: trainer, reference", peak + ENGINE_ASLEEP, gpu, _cure(config))


def _reference(config: RunConfig, size: ModelSize) -> tuple[float, float]:
    """Bytes of one reference actor at rest and at work."""
    if config.algorithm.kl_coef <= 0:
        return 0.0, 0.0
    shape = trainer_shape(config, size)
    shards = config.reference.num_actors if config.reference.sharded else 1
    resting = reference_weight_bytes(size, shape, num_shards=shards)
    return resting, reference_bytes(size, shape, num_shards=shards)


def _cure(config: RunConfig) -> str:
    """The ways out that the config has not taken yet."""
    ways = {
        "a lower rollout.gpu_memory_utilization (while engines sample)": True,
        "trainer.offload_optimizer=true": not config.trainer.offload_optimizer,
        "reference.sharded=true": config.algorithm.kl_coef > 0 and not config.reference.sharded,
        "trainer.zero_stage=3 with rollout.weight_transport=object_store": config.trainer.zero_stage
        < 3,
        "cluster.placement=apart": True,
    }
    return ", or ".join(way for way, is_left in ways.items() if is_left)
