"""The trainer actor: one rank of the DeepSpeed trainer behind Ray. Rank 0 hosts the rendezvous."""

import os
import socket
from pathlib import Path
from typing import Any

import ray
import torch

from vr1_ray.actors.process import begin_process
from vr1_ray.actors.waiting import put
from vr1_ray.config import RunConfig
from vr1_ray.training.distributed import (
    LOOPBACK,
    give_cached_memory_back,
    init_distributed,
    listen,
    telling_lost_peers,
)
from vr1_ray.training.weights import PolicyHash
from vr1_ray.types import EncodedImage, TrainRow
from vr1_ray.weights.broadcast import (
    Backend,
    BroadcastGroup,
    BroadcastLostError,
    BroadcastMember,
    outlive_lost_peers,
)
from vr1_ray.weights.cuda_ipc import SharedBucket, WeightExporter
from vr1_ray.weights.packing import in_buckets, lay_out, pack_block, pack_buckets

BLOCK_SECONDS = 120.0  # for a block of a broadcast; engines wait as long while the next is gathered


class TrainerActor:
    """One rank. `listen` opens the rendezvous on rank 0, `start` joins it on all ranks.

    A collective that fails because another rank is gone raises PeerLostError.
    """

    def __init__(self, config: RunConfig, rank: int) -> None:
        begin_process(str(config.folder / "logs"), f"trainer_{rank}")
        self.config = config
        self.rank = rank
        self.listener: socket.socket | None = None
        self.exporter = WeightExporter()
        self.version: int | None = None  # of the weights, from `hold` until they change
        self.member = BroadcastMember()
        self.group: BroadcastGroup | None = None

    def ping(self) -> None:
        """Answer, if only the process is there."""

    def look(self, path: str) -> tuple[str, str | None]:
        """The address of this actor's node, and what it finds in a file; None if it does not see the file."""
        file = Path(path)
        return ray.util.get_node_ip_address(), file.read_text() if file.is_file() else None

    def visible_gpus(self) -> str:
        """The GPUs that Ray reserved for this rank, as CUDA_VISIBLE_DEVICES names them."""
        return os.environ.get("CUDA_VISIBLE_DEVICES", "")

    def listen(self, address: str) -> int:
        """Open the ranks' rendezvous on `address` alone; returns its port."""
        self.listener = listen(address)
        return self.listener.getsockname()[1]

    @telling_lost_peers()
    def start(
        self, address: str, port: int, total_updates: int, model_path: str | None = None
    ) -> None:
        """Join the other ranks and load the policy (partitioned under ZeRO-3)."""
        from dataclasses import replace

        from vr1_ray.algorithms import make_algorithm
        from vr1_ray.training.policy_trainer import PolicyTrainer

        config = self.config
        if config.rollout.weight_transport == "nccl":
            outlive_lost_peers()
        init_distributed(
            rank=self.rank,
            world_size=config.trainer.num_workers,
            master_addr=address,
            master_port=port,
            timeout_seconds=min(
                config.trainer.collective_timeout_seconds, config.cluster.step_timeout_seconds
            ),
            listener=self.listener,
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
        self._make_room()

    def describe(self) -> str:
        """How this rank learns, in one line."""
        return self.trainer.describe()

    @telling_lost_peers()
    def train_step(
        self, rows_by_mini_batch: list[list[TrainRow]], images: dict[str, EncodedImage]
    ) -> tuple[dict[str, float], list[str]]:
        """One optimizer update per mini-batch, on this rank's rows. Metrics and alarms are those of all ranks."""
        self.version = None
        metrics = self.trainer.train_step(rows_by_mini_batch, images)
        return metrics, self.trainer.take_alarms()

    @telling_lost_peers()
    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> dict[str, tuple[float, ...]]:
        """By row id the policy's log-probabilities, without gradient; nothing of the training changes."""
        found = self.trainer.compute_logprobs(rows, images)
        return {row.row_id: logprobs for row, logprobs in zip(rows, found, strict=True)}

    @telling_lost_peers()
    def publish(self, bucket_bytes: int, is_hashed: bool) -> tuple[list[Any], str]:
        """The policy's weights as object refs of packed buckets, and its hash if asked for; empty off rank 0.

        All ranks must call it: under ZeRO-3 gathering is collective.
        """
        policy_hash = PolicyHash()
        weights = self.trainer.named_weights()
        buckets = pack_buckets(
            policy_hash.of(weights) if is_hashed else weights, max_bytes=bucket_bytes
        )
        refs = [put(bucket, what="a bucket of weights") for bucket in buckets]
        self._make_room()
        return refs, policy_hash.hexdigest() if is_hashed else ""

    @telling_lost_peers()
    def share(self, is_hashed: bool) -> tuple[list[SharedBucket], str]:
        """The policy's weights as handles of this rank's GPU memory; on rank 0 its hash too, if asked for."""
        found = self._hash() if is_hashed else ""
        buckets = self.exporter.export(self.trainer.device_weights())
        self._make_room()
        return buckets, found

    def _hash(self) -> str:
        policy_hash = PolicyHash()
        for _ in policy_hash.of(self.trainer.named_weights()):
            pass  # taken into the hash
        return policy_hash.hexdigest()

    @telling_lost_peers()
    def hold(self, version: int, is_hashed: bool) -> str:
        """The present weights are policy version `version` until they change; their hash, if asked for."""
        self.version = version
        return self._hash() if is_hashed else ""

    def hand_out(self, version: int, bucket_bytes: int) -> list[Any]:
        """The weights as `publish` makes them ready. Raises ValueError if they are no longer those of `version`."""
        self._check_held(version)
        return self.publish(bucket_bytes, False)[0]

    def bucket_tables(self, bucket_bytes: int) -> list[dict[str, Any]]:
        """What each bucket of a broadcast holds; no weight is touched for it."""
        shapes = in_buckets(self.trainer.weight_shapes(), max_bytes=bucket_bytes)
        laid_out = [lay_out(members) for members in shapes]
        return [table.table | {"num_bytes": size} for table, size in laid_out]

    def open_group(
        self, epoch: int, backend: Backend, world_size: int, nodes: list[str]
    ) -> BroadcastGroup:
        """Listen, as rank 0, for the workers of engines on `nodes`; `broadcast` meets them there."""
        is_local = set(nodes) <= {ray.get_runtime_context().get_node_id()}
        self.listener = listen(LOOPBACK if is_local else ray.util.get_node_ip_address())
        address, port = self.listener.getsockname()
        step_timeout = self.config.cluster.step_timeout_seconds
        self.group = BroadcastGroup(
            epoch=epoch,
            backend=backend,
            address=address,
            port=port,
            world_size=world_size,
            timeout_seconds=min(BLOCK_SECONDS, step_timeout / 4),
        )
        return self.group

    @telling_lost_peers()
    def broadcast(self, version: int, bucket_bytes: int) -> str:
        """Send the weights to the group that rank 0 opened; how the broadcast was lost, or "".

        All ranks must call it. The loss of an engine is no error here: the other ranks still walk through the weights.
        """
        self._check_held(version)
        lost = ""
        weights = self.trainer.named_weights(on_device=True)  # none but on rank 0
        try:
            for members in in_buckets(weights, max_bytes=bucket_bytes):
                lost = lost or self._send(members)
        except Exception:
            self.member.close()  # so that the engines don't wait
            raise
        return lost

    def _send(self, members: list[tuple[str, torch.Tensor]]) -> str:
        """One block to the group; how it was lost, or ""."""
        assert self.group is not None
        _, block = pack_block(members, device=self.trainer.device)
        try:
            self.member.join(self.group, 0, self.listener)
            self.member.broadcast(block)
        except BroadcastLostError as error:
            return str(error)
        return ""

    def _check_held(self, version: int) -> None:
        if self.version != version:
            raise ValueError(
                f"policy version {version} is asked for, but the trainer's weights are "
                f"{'newer, of no version yet' if self.version is None else f'those of {self.version}'}"
            )

    @telling_lost_peers()
    def save_checkpoint(self, folder: str) -> None:
        """Write this rank's DeepSpeed and RNG state under FOLDER (collective)."""
        self.trainer.save_checkpoint(Path(folder))

    @telling_lost_peers()
    def load_checkpoint(self, folder: str) -> None:
        """Restore what `save_checkpoint` wrote, bit for bit (collective)."""
        self.version = None
        self.trainer.load_checkpoint(Path(folder))

    @telling_lost_peers()
    def save_policy(self, folder: str) -> None:
        """Write the policy as a Hugging Face model folder with its processor (collective)."""
        self.trainer.save_policy(Path(folder))

    def _make_room(self) -> None:
        """An engine on this GPU is about to wake or to start."""
        if self.config.is_colocated:
            give_cached_memory_back()
