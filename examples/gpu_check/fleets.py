"""Fleets of Ray actors for the check: their configs, the steps they take, and how much of the GPUs is in use."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from examples.gpu_check.bench import Bench
from examples.gpu_check.scoring import trainer_config
from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.algorithms import with_advantages
from vr1_ray.config import (
    AlgorithmConfig,
    CheckpointConfig,
    ClusterConfig,
    CurriculumConfig,
    EngineHealthConfig,
    ModelConfig,
    RewardPoolConfig,
    RewardSpec,
    RolloutConfig,
    RunConfig,
    StageConfig,
)
from vr1_ray.types import Prompt, RolloutGroup, Stage

TEMPERATURE = 1.0


def fleet_config(
    bench: Bench,
    name: str,
    model: ModelConfig,
    stage: Stage,
    *,
    is_shared: bool = True,
    trainer: dict[str, Any] | None = None,
    rollout: dict[str, Any] | None = None,
) -> RunConfig:
    """A run whose engines share the trainer's GPUs, or, apart, have all but one of them. Rewards vary without learning."""
    gpu = float(bench.is_gpu)
    ranks = bench.gpus if is_shared else 1
    engines = bench.gpus if is_shared else max(1, bench.gpus - 1)
    cores = bench.pick(cpu=0.2, gpu=0.5)
    return RunConfig(
        kind="rl",
        name=name,
        runs_folder=str(bench.folder / "runs"),
        deterministic=not bench.is_gpu,
        model=model,
        trainer=trainer_config(
            bench,
            num_workers=ranks,
            num_gpus_per_worker=gpu,
            num_cpus_per_worker=cores,
            zero_stage=2,
            collective_timeout_seconds=bench.seconds,
            **(trainer or {}),
        ),
        rollout=_rollout_config(
            bench,
            **{"num_engines": engines, "num_gpus_per_engine": gpu, "num_cpus_per_engine": cores}
            | (rollout or {}),
        ),
        rewards=[
            RewardSpec(name="length_shaping", options={"buffer_share": 1.0}),
            RewardSpec(name="repetition"),
        ],
        reward_pools={"default": RewardPoolConfig(num_cpus_per_actor=0.1)},
        algorithm=AlgorithmConfig(kl_coef=0.0),
        curriculum=CurriculumConfig(
            stages=[
                StageConfig(
                    max_response_tokens=stage.max_response_tokens,
                    group_size=stage.group_size,
                    steps=stage.steps,
                )
            ]
        ),
        checkpoint=CheckpointConfig(resume="never"),
        cluster=ClusterConfig(
            address="local",
            num_cpus=bench.pick(cpu=2, gpu=0),
            placement="colocated" if is_shared else "apart",
            start_timeout_seconds=bench.seconds,
            step_timeout_seconds=bench.seconds,
        ),
    )


def _rollout_config(bench: Bench, **settings: Any) -> RolloutConfig:
    common = {
        "engine": bench.engine,
        "num_threads": bench.pick(cpu=1, gpu=4),
        "kv_cache_gib": 0.25,
        "gpu_memory_utilization": 0.3,
        "max_num_seqs": 64,
        "verify_weights": True,
        "health": EngineHealthConfig(probe_seconds=2.0, probe_timeout_seconds=20.0),
    }
    return RolloutConfig(**common | settings)


@contextmanager
def running(config: RunConfig, notes: list[str]) -> Iterator[Fleet]:
    """A fleet that was started; `notes` gets what it tells."""
    config.folder.mkdir(parents=True, exist_ok=True)
    connect(config)
    try:
        with Fleet(config) as fleet:
            fleet.note = notes.append
            fleet.start(total_updates=10)
            yield fleet
    finally:
        ray.shutdown()


def collect(fleet: Fleet, prompts: list[Prompt], stage: Stage, step: int) -> list[RolloutGroup]:
    """A step's groups."""
    fleet.submit(prompts, stage, step)
    return fleet.collect(step)


def train(fleet: Fleet, groups: list[RolloutGroup]) -> dict[str, float]:
    """Update on the groups, with advantages of both signs whatever their rewards; the metrics."""
    signs = [
        with_advantages(group, [(-1.0) ** index for index in range(len(group.rollouts))])
        for group in groups
    ]
    return fleet.train_step(signs)


def disagreement(metrics: dict[str, float]) -> dict[str, float]:
    """How much engine and trainer differed in a step, by the names of `scoring.differences`."""
    names = {name: metrics.get(f"logprob_diff/{name}") for name in ("mean", "p99", "max")}
    return {name: value for name, value in names.items() if value is not None}


def timed_sync(fleet: Fleet, version: int) -> float:
    """Seconds of a sync."""
    began = time.monotonic()
    fleet.sync_weights(version)
    return time.monotonic() - began


def used_gib() -> float:
    """Memory in use on the first GPU, by all processes; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    free, total = torch.cuda.mem_get_info(0)
    return (total - free) / 2**30
