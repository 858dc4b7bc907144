"""Rendezvous of the trainer's ranks, and what makes a rank's sums come out the same each time.

Knows torch.distributed and DeepSpeed's start-up, nothing of Ray: the actor brings address and port.
"""

import os
from datetime import timedelta

import torch
import torch.distributed as dist


def init_distributed(
    *,
    rank: int,
    world_size: int,
    master_addr: str,
    master_port: int,
    timeout_seconds: float = 1800.0,
) -> None:
    """Join the other ranks (nccl on GPU, gloo on CPU). One rank joins alone, and all code stays the same."""
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
    import deepspeed

    # DeepSpeed would compile its shared-memory all-reduce (25 s, a C++ compiler) for CPU ranks of one
    # node. Gloo serves one node and many, and nothing is compiled.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend=backend,
        auto_mpi_discovery=False,
        timeout=timedelta(seconds=timeout_seconds),
        verbose=False,
    )


def shut_down() -> None:
    """Leave the other ranks. For tests and short-lived processes; an actor just ends."""
    if dist.is_initialized():
        dist.destroy_process_group()


def training_device() -> torch.device:
    """The GPU that this process sees, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
