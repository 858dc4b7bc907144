"""Weights from trainer rank 0 to all engines at once: a broadcast in a group of processes.

The group is made from c10d's own classes, over a store of its own, so that neither the trainer's default group (it
is DeepSpeed's) nor vLLM's knows of it. It can't be mended: when its members change, or one is lost, another is formed,
with the next epoch. Rank 0 sends; each worker of an engine receives the same bytes and takes its part of them.

All that is c10d's is here. gloo was run; nccl is the same calls on GPUs and was not run yet.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist

from vr1_ray.weights.packing import TensorTable

Backend = Literal["nccl", "gloo"]
GRACE_SECONDS = 5.0  # gloo keeps the limit itself, and tells more of what happened
ABORT_SECONDS = 10.0
LOOK_SECONDS = 0.5
# By itself torch ends a process that a peer in one of its NCCL groups was lost to. It reads these when such a group is
# made: for this one clean up and go on, without waiting a minute for the dump of a flight recorder.
NCCL_GROUP = {
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "2",
    "TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC": "500",
}


def outlive_lost_peers() -> None:
    """To be called before this process makes its first NCCL group, whose monitor ends it for the failure of any group."""
    os.environ["TORCH_NCCL_DUMP_ON_TIMEOUT"] = "0"


class BroadcastLostError(RuntimeError):
    """A member of the group is gone or too late. This process is sound; the group is not, and was left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastGroup:
    """Who sends and receives, as one member is told of it."""

    epoch: int  # one more for each group of a run
    backend: Backend
    address: str  # of rank 0's rendezvous
    port: int
    world_size: int
    timeout_seconds: float  # for joining, and for each block
    first_rank: int = 0  # that of an engine's first worker; the others follow


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastBucket(TensorTable):
    """Tensors in a block of bytes that the group's next broadcast brings.

    Example:
        member = BroadcastMember()
        block = member.receive(bucket.group, rank, bucket.num_bytes, torch.device("cpu"))
        unpack_block(block, **bucket.table)
    """

    num_bytes: int
    group: BroadcastGroup


class BroadcastMember:
    """One process in the present group. Joining a newer one leaves it."""

    def __init__(self) -> None:
        self._group: BroadcastGroup | None = None
        self._store: Any = None
        self._processes: Any = None

    def join(self, group: BroadcastGroup, rank: int, listener: socket.socket | None = None) -> None:
        """Meet the others, if this group is new; rank 0 brings its `listener`. Raises BroadcastLostError."""
        if self._group == group:
            return
        self.close()
        limit = timedelta(seconds=group.timeout_seconds)
        try:
            self._store = dist.TCPStore(
                group.address,
                group.port,
                group.world_size,
                is_master=rank == 0,  # waits for all others
                timeout=limit,
                master_listen_fd=listener.detach() if listener else None,
            )
            make = _gloo if group.backend == "gloo" else _nccl
            self._processes = make(self._store, group, rank)
        except RuntimeError as error:  # torch's own errors are of this type
            self.close()
            raise BroadcastLostError(
                f"rank {rank} of {group.world_size} could not join the others: {error}"
            ) from error
        self._group = group

    def broadcast(self, block: torch.Tensor) -> None:
        """Send `block` as rank 0, or have it filled. Done when it returns. Raises BroadcastLostError."""
        assert self._group is not None
        limit = self._group.timeout_seconds
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = 0, 0

        def call() -> None:
            processes = self._processes
            try:
                if block.is_cuda:
                    torch.cuda.synchronize(block.device)
                processes.broadcast([block], options).wait()
                if block.is_cuda:
                    torch.cuda.synchronize(block.device)
            finally:
                del processes  # held while it works, for its end would wait for that; see `close`

        try:
            # NCCL's first call makes the connections, and waits for the others without a limit.
            limit += GRACE_SECONDS if self._group.backend == "gloo" else 0.0
            # Gloo tells nothing of a loss in the middle of a block, and NCCL not all; when rank 0 leaves, its store goes.
            _within(limit, call, look=self._store.num_keys)
        except (RuntimeError, TimeoutError) as error:
            epoch = self._group.epoch
            self.close()
            raise BroadcastLostError(f"broadcast in group {epoch}: {error}") from error

    def receive(
        self, group: BroadcastGroup, rank: int, num_bytes: int, device: torch.device
    ) -> torch.Tensor:
        """The next block, as bytes on `device`. Raises BroadcastLostError."""
        self.join(group, rank)
        block = torch.empty(num_bytes, dtype=torch.uint8, device=device)
        self.broadcast(block)
        return block

    def close(self) -> None:
        """Leave the group: the others notice. May be called twice.

        Gloo's connections are closed when its object goes, so that nothing else may keep it, no traceback either.
        """
        group, processes = self._group, self._processes
        self._group = self._processes = self._store = None
        if group is not None and group.backend == "nccl":
            with suppress(RuntimeError, TimeoutError):  # if it hangs, then in a thread of its own
                _within(ABORT_SECONDS, processes.abort, look=lambda: None)


def _gloo(store: Any, group: BroadcastGroup, rank: int) -> Any:
    options = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._timeout = timedelta(seconds=group.timeout_seconds)
    own = _own_address_towards(group.address, group.port)
    options._devices = [dist.ProcessGroupGloo.create_device(hostname=own)]
    return dist.ProcessGroupGloo(store, rank, group.world_size, options)


def _nccl(store: Any, group: BroadcastGroup, rank: int) -> Any:
    from torch.distributed import ProcessGroupNCCL

    options = ProcessGroupNCCL.Options()
    options._timeout = timedelta(seconds=10 * group.timeout_seconds)  # ours comes first
    with _environment(NCCL_GROUP):
        return ProcessGroupNCCL(store, rank, group.world_size, options)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _own_address_towards(address: str, port: int) -> str:
    """This node's address in the network of `address`: loopback if that is loopback. Sends nothing."""
    family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return probe.getsockname()[0]


def _within(seconds: float, call: Callable[[], Any], look: Callable[[], Any]) -> None:
    """Do it, in a thread that is given up after `seconds` (TimeoutError) or if `look`, now and then, raises."""
    done: Future[None] = Future()
    deadline = time.monotonic() + seconds
    threading.Thread(target=_work, args=(call, done), name="broadcast", daemon=True).start()
    while not wait([done], timeout=min(LOOK_SECONDS, seconds)).done:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {seconds:g} s")
        look()
    try:
        done.result()
    finally:
        del done, look  # what was raised would keep this frame, and so the store, from going


def _work(call: Callable[[], Any], done: Future[None]) -> None:
    try:
        call()
    except Exception as error:  # whatever it is, it is raised where it is waited for
        done.set_exception(error)
    else:
        done.set_result(None)
