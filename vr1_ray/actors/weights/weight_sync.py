"""Weight transport, trainer -> rollout engines: `publish(version)`, `load(engine)` and, at a sync, `load_all(engines)`.

The backend here moves packed buckets through Ray's object store: it works for any set of engines, on any
machine, and an engine that joins later loads the same published buckets. The engines then feed
them to vLLM's own weight-transfer interface (`rollout/vllm_worker.py`), which also clears what was
computed from the old weights.

Behind the same verbs: `ipc_transport.py`, for engines on the trainer's GPUs, and `broadcast_transport.py`, which brings
the weights to all engines of a sync at once (nccl, gloo).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from vr1_ray.actors.rollouts.engine import Engine
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import ActorError

BUCKET_BYTES = 512 << 20  # few calls, and bounded memory under ZeRO-3


class WeightTransport(ABC):
    """The weights of the version published last, for any engine to load at any time until the next is published."""

    checksum: str | None = None  # of that version, as the first engine that loaded it told

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

    def load_all(self, engines: Sequence[Engine]) -> list[Any]:
        """The same for all engines of a sync, in their order. A call may fail with BroadcastLostError: `load` then."""
        return [self.load(engine) for engine in engines]

    def check_loaded(self, engine: Engine, version: int, checksum: str) -> None:
        """Raise ActorError if what an engine reports after loading is not what was published."""
        if version != self.version:
            raise ActorError(
                f"{engine.name} reports policy version {version} after loading version {self.version}"
            )
        if self.checksum is None:
            self.checksum = checksum
        if checksum != self.checksum:
            raise ActorError(
                f"{engine.name} holds other weights as policy version {version} than the other engines "
                f"(checksums {checksum[:17]} and {self.checksum[:17]})"
            )

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
