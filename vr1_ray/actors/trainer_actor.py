"""The trainer actor: one rank of the DeepSpeed trainer behind Ray. Rank 0 hosts the rendezvous."""

import socket
from pathlib import Path
from typing import Any

import ray

from vr1_ray.actors.cluster import write_output_to
from vr1_ray.config import RunConfig
from vr1_ray.types import EncodedImage, TrainRow


class TrainerActor:
    """One rank. `prepare` picks the rendezvous on rank 0, `start` joins it on all ranks."""

    def __init__(self, config: RunConfig, rank: int) -> None:
        write_output_to(str(config.folder / "logs"), f"trainer_{rank}")
        self.config = config
        self.rank = rank

    def prepare(self) -> tuple[str, int]:
        """Address and free port of this actor's node, for the ranks' rendezvous."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    def start(
        self, address: str, port: int, total_updates: int, model_path: str | None = None
    ) -> None:
        """Join the other ranks and load the policy (partitioned under ZeRO-3)."""
        from dataclasses import replace

        from vr1_ray.algorithms import make_algorithm
        from vr1_ray.training.distributed import init_distributed
        from vr1_ray.training.policy_trainer import PolicyTrainer

        config = self.config
        init_distributed(
            rank=self.rank,
            world_size=config.trainer.num_workers,
            master_addr=address,
            master_port=port,
            timeout_seconds=config.cluster.step_timeout_seconds,
        )
        model = config.model if model_path is None else replace(config.model, path=model_path)
        self.trainer = PolicyTrainer(
            model=model,
            trainer=config.trainer,
            algorithm=make_algorithm(config.algorithm, kind=config.kind),
            seed=config.seed,
            total_updates=total_updates,
            rank=self.rank,
            world_size=config.trainer.num_workers,
            deterministic=config.deterministic,
        )

    def train_step(
        self, rows_by_mini_batch: list[list[TrainRow]], images: dict[str, EncodedImage]
    ) -> dict[str, float]:
        """One optimizer update per mini-batch, on this rank's rows. Metrics are those of all ranks."""
        return self.trainer.train_step(rows_by_mini_batch, images)

    def publish(self, bucket_bytes: int) -> list[Any]:
        """The policy's weights as object refs of packed buckets on rank 0, [] elsewhere.

        All ranks must call it: under ZeRO-3 gathering is collective.
        """
        from vr1_ray.rollout.packing import pack_buckets

        return [
            ray.put(bucket)
            for bucket in pack_buckets(self.trainer.named_weights(), max_bytes=bucket_bytes)
        ]

    def save_checkpoint(self, folder: str) -> None:
        """Write this rank's DeepSpeed and RNG state under FOLDER (collective)."""
        self.trainer.save_checkpoint(Path(folder))

    def load_checkpoint(self, folder: str) -> None:
        """Restore what `save_checkpoint` wrote, bit for bit (collective)."""
        self.trainer.load_checkpoint(Path(folder))

    def save_policy(self, folder: str) -> None:
        """Write the policy as a Hugging Face model folder with its processor (collective)."""
        self.trainer.save_policy(Path(folder))
