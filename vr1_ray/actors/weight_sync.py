"""Weight transport, trainer -> rollout engines: `publish(version)` and `load(engine)`.

The backend here moves packed buckets through Ray's object store: it works for any set of engines, on any
machine, and an engine that joins later loads the same published buckets. The engines then feed
them to vLLM's own weight-transfer interface (`rollout/vllm_worker.py`), which also clears what was
computed from the old weights.

`ipc_transport.py` stands behind the same two verbs, for engines on the trainer's GPUs. Not here: NCCL. A broadcast
needs all engines at one moment, and one that is lost in the middle of it takes trainer rank 0 with it.
"""

from abc import ABC, abstractmethod
from typing import Any

from vr1_ray.actors.engine import Engine
from vr1_ray.actors.trainer_group import TrainerGroup

BUCKET_BYTES = 512 << 20  # few calls, and bounded memory under ZeRO-3


class WeightTransport(ABC):
    """The weights of the version published last, for any engine to load at any time until the next is published."""

    def __init__(self, trainers: TrainerGroup, *, is_hashed: bool = False) -> None:
        self.trainers = trainers
        self.is_hashed = is_hashed
        self.policy_hash = ""  # of the version published, if it is to be hashed
        self.version = -1

    @abstractmethod
    def publish(self, version: int) -> None:
        """Make the trainer's weights ready as policy version `version`. All ranks take part."""

    @abstractmethod
    def load(self, engine: Engine) -> Any:
        """Begin to bring one engine to the published version; a ref of the version it reports, and its checksum."""

    def check(self) -> None:
        """Raise TrainerLostError if a trainer rank is gone: what it published is gone with it.

        To be asked when engines fail to load: none of them is to blame then.
        """
        self.trainers.check(f"handing over version {self.version}")


class ObjectStoreTransport(WeightTransport):
    """Packed buckets in Ray's object store, gathered and packed by rank 0."""

    buckets: list[Any]  # object refs

    def publish(self, version: int) -> None:
        self.buckets, self.policy_hash = self.trainers.publish(
            version, BUCKET_BYTES, is_hashed=self.is_hashed
        )
        self.version = version

    def load(self, engine: Engine) -> Any:
        assert engine.actor is not None
        return engine.actor.load_weights.remote(self.version, self.buckets)
