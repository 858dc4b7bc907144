"""Jobs in processes of their own. DeepSpeed joins one process group in the life of a process, and its memory and variables stay."""

import socket
from pathlib import Path

import torch
import torch.multiprocessing as multiprocessing

from vr1_ray.training.distributed import init_distributed, shut_down


def one_rank(rank, job, world_size, folder, port):
    init_distributed(
        rank=rank,
        world_size=world_size,
        master_addr="127.0.0.1",
        master_port=port,
        timeout_seconds=120,
    )
    torch.save(
        job(rank, world_size, folder), Path(folder) / f"{job.__name__}_{rank}_{world_size}.pt"
    )
    shut_down()


def in_processes(job, world_size, folder) -> list:
    """Run `job(rank, world_size, folder)` as `world_size` ranks of a group; what each returned."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(one_rank, (job, world_size, str(folder), port), nprocs=world_size)
    files = [folder / f"{job.__name__}_{rank}_{world_size}.pt" for rank in range(world_size)]
    return [torch.load(file, weights_only=False) for file in files]


def _call(_rank, job, arguments):
    job(*arguments)


def in_a_process(job, *arguments) -> None:
    """Call `job`, which joins a group itself. Raises torch's ProcessRaisedException with its traceback."""
    multiprocessing.spawn(_call, (job, arguments), nprocs=1)
