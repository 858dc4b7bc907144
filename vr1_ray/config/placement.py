"""Rules of `cluster.placement` and `rollout.weight_transport`: what engines on the trainer's GPUs, and groups of GPUs
that weights are broadcast in, ask of a config.

Colocated, `num_gpus_per_engine` and `num_gpus_per_actor` say on how many of the trainer's GPUs an engine or a
reference actor runs; only the trainer reserves them. An engine shares its GPUs with as many trainer ranks as
it has tensor-parallel ones.
"""

from collections.abc import Iterator

from vr1_ray.config.demand import keyed_stages
from vr1_ray.config.schema import RunConfig

COLOCATED = "cluster.placement=colocated"


def placement_problems(config: RunConfig) -> Iterator[str]:
    """One line for each setting that engines, reference and trainer can't have together."""
    if config.kind != "rl":
        return
    if config.rollout.weight_transport == "ipc":
        yield from _ipc(config)
    if config.rollout.weight_transport in ("nccl", "gloo"):
        yield from _broadcast(config)
    if config.is_colocated:
        yield from _engines(config)
        yield from _gpus(config)
        yield from _reference(config)
        yield from _places(config)


def _ipc(config: RunConfig) -> Iterator[str]:
    where = "rollout.weight_transport: ipc"
    if not config.is_colocated:
        yield f"{where} reads the memory of the GPU that engine and trainer share; set {COLOCATED}, or object_store"
    if config.trainer.zero_stage == 3:
        yield (
            f"{where} takes the weights as they lie on each GPU, and with trainer.zero_stage 3 a part of them does; "
            "set trainer.zero_stage=2, or object_store"
        )
    if config.rollout.engine == "hf" or not config.trainer.num_gpus_per_worker:
        yield (
            f"{where} needs CUDA memory and an engine that opens it; set trainer.num_gpus_per_worker=1 and "
            "rollout.engine=vllm, or object_store"
        )


def _broadcast(config: RunConfig) -> Iterator[str]:
    rollout, trainer = config.rollout, config.trainer
    where = f"rollout.weight_transport: {rollout.weight_transport}"
    if config.is_colocated:
        yield (
            f"{where} needs a device for each member of the group, and with {COLOCATED} engines and trainer share "
            "theirs; set cluster.placement=apart, or ipc"
        )
    if rollout.weight_transport == "gloo" and (
        trainer.num_gpus_per_worker or rollout.num_gpus_per_engine
    ):
        yield f"{where} is for engines and a trainer without GPUs; set nccl, or object_store"
    if rollout.weight_transport == "nccl" and (
        trainer.num_gpus_per_worker < 1
        or rollout.num_gpus_per_engine < rollout.tensor_parallel_size
    ):
        yield (
            f"{where} is between whole GPUs, but there are trainer.num_gpus_per_worker {trainer.num_gpus_per_worker:g} "
            f"and rollout.num_gpus_per_engine {rollout.num_gpus_per_engine:g} (tensor_parallel_size "
            f"{rollout.tensor_parallel_size}); give each rank and worker one, or set object_store, or gloo without GPUs"
        )


def _engines(config: RunConfig) -> Iterator[str]:
    rollout, ranks = config.rollout, config.trainer.num_workers
    parallel = rollout.tensor_parallel_size
    if ranks % parallel:
        yield (
            f"rollout.tensor_parallel_size: {parallel} does not divide trainer.num_workers {ranks}, on whose GPUs the "
            f"engines run with {COLOCATED}; use a divisor"
        )
    elif rollout.num_engines * parallel != ranks:
        yield (
            f"rollout.num_engines: {rollout.num_engines} x tensor_parallel_size {parallel} is not trainer.num_workers "
            f"{ranks}, on whose GPUs the engines run with {COLOCATED}; set it to {ranks // parallel}"
        )
    if rollout.tensor_parallel_sizes:
        yield (
            f"rollout.tensor_parallel_sizes: {rollout.tensor_parallel_sizes}; with {COLOCATED} all engines are alike: "
            "leave it out, or use cluster.placement=apart"
        )
    if rollout.min_engines or rollout.max_engines:
        yield (
            f"rollout.max_engines: {rollout.max_engines} (min_engines {rollout.min_engines}), but with {COLOCATED} "
            "there are as many engines as the trainer has GPUs for; set both to 0"
        )
    for where, stage in keyed_stages(config):
        if stage.num_engines not in (0, rollout.num_engines):
            yield (
                f"{where}.num_engines: {stage.num_engines}, but with {COLOCATED} there are always "
                f"rollout.num_engines {rollout.num_engines}; leave it out"
            )


def _gpus(config: RunConfig) -> Iterator[str]:
    rollout, gpus = config.rollout, config.trainer.num_gpus_per_worker
    if gpus not in (0, 1):
        yield f"trainer.num_gpus_per_worker: {gpus:g}; with {COLOCATED} a rank has one whole GPU: set it to 1"
    elif rollout.num_gpus_per_engine != gpus * rollout.tensor_parallel_size:
        yield (
            f"rollout.num_gpus_per_engine: {rollout.num_gpus_per_engine:g}; with {COLOCATED} an engine runs on the "
            f"GPUs of {rollout.tensor_parallel_size} trainer ranks: set it to {gpus * rollout.tensor_parallel_size:g}"
        )
    if not gpus and rollout.engine == "vllm":
        yield (
            "cluster.placement: colocated without GPUs, but vLLM gives no memory back on CPU; set "
            "trainer.num_gpus_per_worker=1, or cluster.placement=apart"
        )


def _reference(config: RunConfig) -> Iterator[str]:
    reference, trainer = config.reference, config.trainer
    if config.algorithm.kl_coef <= 0:
        return
    if reference.num_actors != trainer.num_workers:
        yield (
            f"reference.num_actors: {reference.num_actors}; with {COLOCATED} each trainer rank has a reference actor "
            f"beside it: set it to {trainer.num_workers}"
        )
    if reference.num_gpus_per_actor != trainer.num_gpus_per_worker:
        yield (
            f"reference.num_gpus_per_actor: {reference.num_gpus_per_actor:g}; with {COLOCATED} a reference actor runs "
            f"on its rank's GPU: set it to {trainer.num_gpus_per_worker:g}"
        )


def _places(config: RunConfig) -> Iterator[str]:
    for name, section in (("rollout", config.rollout), ("reference", config.reference)):
        if section.resources or section.label_selector:
            yield (
                f"{name}.label_selector: {dict(section.label_selector)} (resources {dict(section.resources)}), but "
                f"with {COLOCATED} it runs where the trainer does; set them for the trainer"
            )
