"""Weight transport within a GPU: an engine reads the weights out of the memory of the trainer ranks it shares it with.

Nothing is gathered and nothing copied in between, so each rank must hold the whole policy (ZeRO below 3). The
weights are the trainer's own, which stand still until its next update; so an engine that was started again loads
them as the others did. Handles are made and opened in `weights/cuda_ipc.py`, which was not run yet.
"""

from typing import Any

from vr1_ray.actors.rollouts.engine import Engine
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.weights.weight_sync import WeightTransport
from vr1_ray.weights.cuda_ipc import SharedBucket, merge_buckets


class IpcTransport(WeightTransport):
    """Handles of the weights on each GPU, for the engine in the same seat (`seats.py`)."""

    def __init__(
        self, trainers: TrainerGroup, *, ranks_per_engine: int, is_hashed: bool = False
    ) -> None:
        super().__init__(trainers, is_hashed=is_hashed)
        self.ranks_per_engine = ranks_per_engine
        self.buckets: list[list[SharedBucket]] = []  # by engine

    def publish(self, version: int) -> None:
        by_rank, self.policy_hash = self.trainers.share(version, is_hashed=self.is_hashed)
        size = self.ranks_per_engine
        self.buckets = [
            merge_buckets(by_rank[first : first + size]) for first in range(0, len(by_rank), size)
        ]
        self.version = version

    def load(self, engine: Engine) -> Any:
        assert engine.actor is not None
        return engine.actor.load_weights.remote(self.version, self.buckets[engine.index])
