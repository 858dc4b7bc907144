"""Which way new weights go from the ranks to the engines: `rollout.weight_transport`."""

from collections.abc import Callable

from vr1_ray.actors.seats import Seats
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.weights.broadcast_transport import BroadcastTransport
from vr1_ray.actors.weights.ipc_transport import IpcTransport
from vr1_ray.actors.weights.weight_sync import ObjectStoreTransport, WeightTransport
from vr1_ray.config import RolloutConfig


def make_transport(
    rollout: RolloutConfig,
    trainers: TrainerGroup,
    seats: Seats | None,
    note: Callable[[str], None],
) -> WeightTransport:
    """The transport that the config names; by IPC only where engines and ranks share GPUs (`seats`)."""
    is_hashed = rollout.save == "all"  # what `vr1 replay` compares with
    if rollout.weight_transport == "ipc" and seats:
        return IpcTransport(trainers, ranks_per_engine=seats.ranks, is_hashed=is_hashed)
    if rollout.weight_transport in ("nccl", "gloo"):
        return BroadcastTransport(
            trainers, backend=rollout.weight_transport, note=note, is_hashed=is_hashed
        )
    return ObjectStoreTransport(trainers, is_hashed=is_hashed)
