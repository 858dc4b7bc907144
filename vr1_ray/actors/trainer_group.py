"""The trainer's ranks as one: rendezvous, dealing rows, checkpoints."""

from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.actors.trainer_actor import TrainerActor
from vr1_ray.actors.waiting import wait_for
from vr1_ray.config import RunConfig
from vr1_ray.training.rows import Unit, deal, images_of
from vr1_ray.types import Prompt


class TrainerGroup:
    """N trainer actors, one a rank, in one placement group (packed: ranks talk a lot)."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        trainer = config.trainer
        self.timeout = config.cluster.step_timeout_seconds
        bundle = {"CPU": trainer.num_cpus_per_worker}
        if trainer.num_gpus_per_worker:
            bundle["GPU"] = trainer.num_gpus_per_worker
        self.placement = placement_group(
            [bundle | trainer.resources] * trainer.num_workers,
            strategy="PACK",
            bundle_label_selector=[dict(trainer.label_selector)] * trainer.num_workers,
        )
        wait_for(
            {"trainer placement": self.placement.ready()},
            phase="reserving the trainer's CPUs and GPUs",
            timeout_seconds=config.cluster.start_timeout_seconds,
        )
        self.actors: list[Any] = [
            ray.remote(TrainerActor)
            .options(
                num_cpus=trainer.num_cpus_per_worker,
                num_gpus=trainer.num_gpus_per_worker,
                resources=dict(trainer.resources),
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=self.placement, placement_group_bundle_index=rank
                ),
            )
            .remote(config, rank)
            for rank in range(trainer.num_workers)
        ]

    def starting(self, total_updates: int, model_path: str | None) -> dict[str, Any]:
        """Begin loading on every rank; returns the refs to wait for."""
        address, port = wait_for(
            {"trainer 0": self.actors[0].prepare.remote()},
            phase="choosing the rendezvous",
            timeout_seconds=self.config.cluster.start_timeout_seconds,
        )[0]
        return {
            f"trainer {rank}": actor.start.remote(address, port, total_updates, model_path)
            for rank, actor in enumerate(self.actors)
        }

    def train_step(self, units: list[Unit], prompts: list[Prompt]) -> dict[str, float]:
        """Deal the units over ranks and mini-batches, train, and return the metrics (equal on all ranks)."""
        parts = self.config.trainer.mini_batches_per_step if self.config.kind == "rl" else 1
        dealt = deal(units, num_ranks=len(self.actors), num_mini_batches=parts)
        pending = {}
        for rank, actor in enumerate(self.actors):
            mini_batches = [
                [row for unit in mini_batch for row in unit] for mini_batch in dealt[rank]
            ]
            own_units = [unit for mini_batch in dealt[rank] for unit in mini_batch]
            pending[f"trainer {rank}"] = actor.train_step.remote(
                mini_batches, images_of(prompts, own_units)
            )
        return wait_for(pending, phase="training", timeout_seconds=self.timeout)[0]

    def save_checkpoint(self, folder: Path) -> None:
        self._all("save_checkpoint", str(folder), phase="saving the trainer's state")

    def load_checkpoint(self, folder: Path) -> None:
        self._all("load_checkpoint", str(folder), phase="loading the trainer's state")

    def save_policy(self, folder: Path) -> None:
        """Write the policy as a Hugging Face folder."""
        self._all("save_policy", str(folder), phase="saving the policy")

    def release(self) -> None:
        """End the ranks and give their place back."""
        for actor in self.actors:
            ray.kill(actor)
        remove_placement_group(self.placement)

    def _all(self, method: str, *arguments: Any, phase: str) -> None:
        pending = {
            f"trainer {rank}": getattr(a, method).remote(*arguments)
            for rank, a in enumerate(self.actors)
        }
        wait_for(pending, phase=phase, timeout_seconds=self.timeout)
