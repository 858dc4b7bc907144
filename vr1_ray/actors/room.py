"""Room in the cluster: what has a place already, what fits now, and what could ever fit.

Ray tells at once whether an actor waits for room; these are the questions that tell a wait from a start that hangs.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any

import ray
from ray._private import state  # what Ray offers for this in public needs a dashboard

Bundle = Mapping[str, float]


def has_place(actor: Any) -> bool:
    """Whether Ray has found room for an actor's process: only then can its start have begun.

    Example:
        has_place(ray.remote(num_cpus=10_000)(Worker).remote())  # False
    """
    return bool(state.actors(actor._actor_id.hex()).get("Address", {}).get("Port"))


def bundle_of(
    cpus: float, gpus: float, resources: Mapping[str, float] | None = None
) -> dict[str, float]:
    """What one actor reserves, as Ray names it."""
    wanted = {"CPU": cpus, "GPU": gpus, **(resources or {})}
    return {name: amount for name, amount in wanted.items() if amount}


def in_words(bundle: Bundle) -> str:
    """For messages: "1 CPU, 2 GPU"."""
    return ", ".join(f"{amount:g} {name}" for name, amount in bundle.items()) or "nothing"


def nodes_with(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The nodes that live and have these labels."""
    return [
        node
        for node in ray.nodes()
        if node["Alive"]
        and all(node.get("Labels", {}).get(key) == value for key, value in labels.items())
    ]


def free_by_node(bundle: Bundle, labels: Mapping[str, str]) -> dict[str, int]:
    """How many such actors fit now, by the id of the node."""
    free = state.available_resources_per_node()
    return {
        node["NodeID"]: times(bundle, free.get(node["NodeID"], {})) for node in nodes_with(labels)
    }


def most_ever(bundle: Bundle, labels: Mapping[str, str], beside: Bundle) -> int:
    """How many such actors the cluster's nodes, with those that its autoscaler may still add, can hold at most.

    `beside` is what the run holds for good besides them. Very many if nothing bounds them.
    """
    nodes = [node["Resources"] for node in nodes_with(labels)]
    added = _autoscaled()
    if added is None:
        return sys.maxsize
    by_node = sum(times(bundle, node) for node in nodes) + sum(
        number * times(bundle, resources) for resources, number in added
    )
    total = {
        name: ray.cluster_resources().get(name, 0.0)
        + sum(number * resources.get(name, 0.0) for resources, number in added)
        - beside.get(name, 0.0)
        for name in bundle
    }
    return min(by_node, times(bundle, total))


def times(bundle: Bundle, resources: Bundle) -> int:
    """How often a bundle fits into resources; very often if it asks for nothing.

    Example:
        times({"CPU": 2.0, "GPU": 1.0}, {"CPU": 7.0, "GPU": 8.0})  # 3
    """
    fits = [
        math.floor((resources.get(name, 0.0) + 1e-6) / amount) for name, amount in bundle.items()
    ]
    return max(0, min(fits, default=sys.maxsize))


def _autoscaled() -> list[tuple[dict[str, float], int]] | None:
    """Resources and number of the nodes that the cluster's autoscaler may have; None: no limit is known."""
    config = state.state.get_cluster_config()
    groups = config.node_group_configs if config is not None else []
    if any(group.max_count < 0 for group in groups):
        return None
    return [(dict(group.resources), group.max_count) for group in groups]
