"""The trainer's control ports: on loopback where all ranks share a node; and a node that does not see the run folder."""

import multiprocessing
import os
import shutil
import uuid
from pathlib import Path

import psutil
import pytest

from tests.faults.live_run import LIMIT
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.config import ClusterConfig, ConfigError, ModelConfig, RunConfig, TrainerConfig
from vr1_ray.training.distributed import (
    LOOPBACK,
    PeerLostError,
    init_distributed,
    listen,
    telling_lost_peers,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(2 * LIMIT)]


def join(rank, ports, answers):
    """Join as a rank of two and sum once; then rank 1 leaves without a word, and rank 0 tells what it sees."""
    import torch
    import torch.distributed as dist

    listener = listen(LOOPBACK) if rank == 0 else None
    if listener:
        ports.put(listener.getsockname()[1])
    init_distributed(
        rank=rank,
        world_size=2,
        master_addr=LOOPBACK,
        master_port=listener.getsockname()[1] if listener else ports.get(timeout=LIMIT),
        timeout_seconds=LIMIT,
        listener=listener,
    )
    total = torch.tensor([rank + 1.0])
    dist.all_reduce(total)
    listening = {
        connection.laddr.ip
        for connection in psutil.Process().net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    answers.put((rank, total.item(), listening))
    if rank == 1:
        answers.close()
        answers.join_thread()  # what was put is on its way
        os._exit(9)
    try:
        with telling_lost_peers():
            dist.all_reduce(total)
    except PeerLostError as error:
        answers.put((2, 0.0, str(error)))


def test_ranks_of_one_node_listen_on_loopback_alone_and_tell_a_peer_that_left():
    context = multiprocessing.get_context("spawn")
    ports, answers = context.Queue(), context.Queue()
    ranks = [context.Process(target=join, args=(rank, ports, answers)) for rank in (0, 1)]
    for process in ranks:
        process.start()
    first, second, told = sorted(answers.get(timeout=LIMIT) for _ in range(3))
    for process in ranks:
        process.join(timeout=60)
    assert (first[1], second[1]) == (3.0, 3.0)
    assert first[2] | second[2] == {LOOPBACK}
    assert told[2]


def test_a_trainer_node_that_does_not_see_the_run_folder_is_named_before_anything_is_loaded(
    local_ray, tmp_path, monkeypatch
):
    # A path that each process sees in its own way, as nodes without a shared disk do.
    here, name = Path.cwd(), f"not_shared_{uuid.uuid4().hex}"
    monkeypatch.chdir(tmp_path)
    config = RunConfig(
        kind="sft",
        name="run",
        runs_folder=f"/proc/self/cwd/{name}",
        model=ModelConfig(path="not read"),
        trainer=TrainerConfig(num_cpus_per_worker=0.1),
        cluster=ClusterConfig(start_timeout_seconds=LIMIT, step_timeout_seconds=LIMIT),
    )
    group = TrainerGroup(config)
    try:
        with pytest.raises(ConfigError, match=r"runs_folder: .* on trainer node .*one POSIX"):
            group.starting(1, None)
        assert list((tmp_path / name / "run").iterdir()) == []  # the file to be seen is gone
    finally:
        group.release()
        shutil.rmtree(here / name, ignore_errors=True)
