"""Rendezvous of the trainer's ranks, and what makes a rank's sums come out the same each time.

Knows torch.distributed and DeepSpeed's start-up, nothing of Ray: the actor brings address and port.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

LOOPBACK = "127.0.0.1"  # the rendezvous of ranks that share a node: not to be reached from outside
# How gloo, nccl and the rendezvous say that another rank is gone or too late; their types say no more than
# RuntimeError.
PEER_LOSS = (
    "gloo",
    "nccl",
    "connection closed by peer",
    "connection reset",
    "broken pipe",
    "timed out waiting",
)


class PeerLostError(RuntimeError):
    """A collective failed because another rank is gone, or did not come in time."""


@contextmanager
def telling_lost_peers() -> Iterator[None]:
    """Inside, what a lost peer does to this rank comes out as PeerLostError; every other error as it is."""
    try:
        yield
    except RuntimeError as error:  # torch's own DistError too
        text = str(error).lower()
        if isinstance(error, dist.DistError) or any(words in text for words in PEER_LOSS):
            raise PeerLostError(str(error)) from error
        raise


def listen(address: str) -> socket.socket:
    """A socket for rank 0's rendezvous, on `address` alone and on a port that is free."""
    listener = socket.socket()
    listener.bind((address, 0))
    listener.listen()
    return listener


def init_distributed(
    *,
    rank: int,
    world_size: int,
    master_addr: str,
    master_port: int,
    timeout_seconds: float = 1800.0,
    listener: socket.socket | None = None,
) -> None:
    """Join the other ranks (nccl on GPU, gloo on CPU). One rank joins alone, and all code stays the same.

    `timeout_seconds` limits every collective: a rank that waits longer for another raises. Rank 0 brings its
    `listener`, which is then bound where it says; without one the rendezvous listens on every interface.
    """
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_RANK": "0",  # Ray shows each actor its own GPU alone
        "MASTER_ADDR": master_addr,
        "MASTER_PORT": str(master_port),
    }
    if backend == "gloo":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if master_addr == LOOPBACK:
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    limit = timedelta(seconds=timeout_seconds)
    store = dist.TCPStore(
        master_addr,
        master_port,
        world_size,
        is_master=rank == 0,
        timeout=limit,
        master_listen_fd=listener.detach() if listener else None,
    )
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=limit)
    import deepspeed

    # DeepSpeed would compile its shared-memory all-reduce (25 s, a C++ compiler) for CPU ranks of one
    # node. Gloo serves one node and many, and nothing is compiled.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend=backend,
        auto_mpi_discovery=False,
        timeout=limit,
        verbose=False,
    )


def shut_down() -> None:
    """Leave the other ranks. For tests and short-lived processes; an actor just ends."""
    if dist.is_initialized():
        dist.destroy_process_group()


def training_device() -> torch.device:
    """The GPU that this process sees, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def give_cached_memory_back() -> None:
    """Free the GPU memory that torch keeps for this process's next tensors: others share the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def fix_arithmetic(*, num_threads: int, deterministic: bool) -> None:
    """Set the threads of this process; with `deterministic`, ask torch for repeatable kernels.

    On CPU the order of a sum depends on the number of threads, so it is fixed in every mode. Operators
    without a repeatable kernel (some on GPU) only warn: runs there repeat up to their rounding.
    """
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    # Writing NaN into every new tensor finds bugs of torch itself, and costs a pass over memory each time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The sum over ranks, in place. One rank needs no process group."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def max_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The maximum over ranks, in place. One rank needs no process group."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values


@contextmanager
def failing_together() -> Iterator[None]:
    """Writes of this rank; at the end all ranks meet, and all raise OSError if one of them failed.

    torch reports a full disk as a RuntimeError, safetensors as an error of its own.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as caught:  # whatever it is, the others must be told before it goes on
        error = caught
    told: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(told, None if error is None else f"rank {dist.get_rank()}: {error}")
    failures = "; ".join(text for text in told if text)
    if failures:
        raise OSError(failures) from error
