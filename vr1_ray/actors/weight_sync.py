"""Weight transport, trainer -> rollout engines: `publish(version)` and `load(engine)`.

This backend moves packed buckets through Ray's object store: it works for any set of engines, on any
machine, and an engine that joins later loads the same published buckets. The engines then feed
them to vLLM's own weight-transfer interface (`rollout/vllm_worker.py`), which also clears what was
computed from the old weights.

Not here: NCCL and CUDA IPC. They will stand behind the same two verbs.
"""

from typing import Any

from vr1_ray.actors.trainer_group import TrainerGroup

BUCKET_BYTES = 512 << 20  # few calls, and bounded memory under ZeRO-3


class ObjectStoreTransport:
    """Keeps the buckets of the last published version until the next is published."""

    def __init__(
        self, trainers: TrainerGroup, *, timeout_seconds: float, is_hashed: bool = False
    ) -> None:
        self.trainers = trainers
        self.is_hashed = is_hashed
        self.policy_hash = ""  # of the version published, if it is to be hashed
        self.timeout_seconds = timeout_seconds
        self.version = -1
        self.buckets: list[Any] = []  # object refs of packed buckets

    def publish(self, version: int) -> None:
        """Gather and pack the trainers' weights as policy version `version`. All ranks take part."""
        self.buckets, self.policy_hash = self.trainers.publish(
            version, BUCKET_BYTES, is_hashed=self.is_hashed
        )
        self.version = version

    def check(self) -> None:
        """Raise TrainerLostError if a trainer rank is gone: what it published is gone with it.

        To be asked when engines fail to load: none of them is to blame then.
        """
        self.trainers.check(f"handing over version {self.version}")

    def load(self, engine: Any) -> Any:
        """Begin to bring one engine to the published version; a ref of the version it reports, and its checksum."""
        return engine.load_weights.remote(self.version, self.buckets)
