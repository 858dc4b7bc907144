"""`vr1 check` on a joined cluster: each node looks at itself, and one process a node tries to reach the others.

Tasks and small actors that reserve nothing, so that a busy cluster can be checked too; all waits are short.
"""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from vr1_ray.actors.waiting import ActorError, wait_for
from vr1_ray.preflight.node import NodeFacts, node_facts
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

FACTS_SECONDS = 120.0
REACH_SECONDS = 90.0


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Inside, this process is connected to the cluster at `address`. Raises ActorError if there is none."""
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:  # Ray raises ConnectionError, RuntimeError or bare Exception
            first = str(error).strip().splitlines()[0]
            raise NoClusterError(f"no Ray cluster at {address}: {first}") from error
    try:
        yield
    finally:
        if is_ours:
            ray.shutdown()


def alive_nodes() -> list[dict[str, Any]]:
    """Ray's view of the nodes that are up."""
    return [node for node in ray.nodes() if node["Alive"]]


def ask_nodes(runs_folder: str, paths: Sequence[str]) -> list[NodeFacts]:
    """What each node found of itself. Raises ActorError naming the nodes that did not answer."""
    look = ray.remote(node_facts)
    pending = {
        node["NodeName"] + " " + node["NodeID"][:6]: look.options(
            num_cpus=0, scheduling_strategy=_on(node)
        ).remote(runs_folder, list(paths))
        for node in alive_nodes()
    }
    return wait_for(pending, phase="asking the nodes", timeout_seconds=FACTS_SECONDS)


class NoClusterError(ActorError):
    """There is no cluster to join."""


class RankProbe:
    """One process that joins the others as a trainer rank would, over gloo."""

    def prepare(self) -> tuple[str, int]:
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    def join(self, rank: int, world_size: int, address: str, port: int) -> float:
        """The sum of ones over all ranks."""
        from datetime import timedelta

        import torch
        import torch.distributed as dist

        os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
        limit = timedelta(seconds=REACH_SECONDS)
        dist.init_process_group("gloo", rank=rank, world_size=world_size, timeout=limit)
        ones = torch.ones(1)
        dist.all_reduce(ones)
        dist.destroy_process_group()
        return float(ones)


def reach_row(num_workers: int) -> CheckRow | None:
    """Whether nodes reach each other as trainer ranks must; None where one node holds them all."""
    nodes = alive_nodes()[:num_workers]
    if len(nodes) < 2:
        return None
    name = "nodes reach each other (gloo)"
    probes: list[Any] = [
        ray.remote(RankProbe).options(num_cpus=0, scheduling_strategy=_on(node)).remote()
        for node in nodes
    ]
    try:
        [(address, port)] = wait_for(
            {"the first node": probes[0].prepare.remote()},
            phase="choosing a rendezvous",
            timeout_seconds=FACTS_SECONDS,
        )
        pending = {
            node["NodeName"] + " " + node["NodeID"][:6]: probe.join.remote(
                rank, len(nodes), address, port
            )
            for rank, (node, probe) in enumerate(zip(nodes, probes, strict=True))
        }
        sums = wait_for(pending, phase="joining", timeout_seconds=REACH_SECONDS + 30)
    except ActorError as error:
        cure = f"{str(error).splitlines()[0]}; open all ports between the nodes, or set GLOO_SOCKET_IFNAME"
        return CheckRow(name=name, value="no", status="bad", cure=cure)
    finally:
        for probe in probes:
            ray.kill(probe)
    is_right = all(total == len(nodes) for total in sums)
    assert is_right, sums
    return CheckRow(name=name, value=counted(len(nodes), "node"))


def _on(node: dict[str, Any]) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
