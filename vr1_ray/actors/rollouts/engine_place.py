"""Where one engine runs: a placement group of its own, and its actor in it.

One group an engine is what lets engines come and go: each waits for room alone (Ray's autoscaler sees it),
and the loss of one gives back its place and no other. A group has one bundle, so all GPUs of an engine
with tensor parallelism are on one node.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.actors.rollouts.rollout_actor import RolloutActor
from vr1_ray.actors.room import bundle_of, free_by_node, nodes_with, times
from vr1_ray.config import RolloutConfig, RunConfig


@dataclass(frozen=True, kw_only=True)
class EnginePlace:
    """An engine's actor, in a placement group that may still wait for room."""

    group: PlacementGroup | None  # None: it is a guest of the trainer, whose place is there already
    actor: Any
    starting: Any  # ref of the node id, there when the engine can take calls
    likely_node: str  # id of the node it was meant for
    size: int = 1  # of the engine: how many devices share its work

    def has_room(self) -> bool:
        """Whether the group was placed: only then the engine's start can have begun."""
        if self.group is None:
            return True
        return placement_group_table(self.group).get("state") == "CREATED"

    def node(self) -> str:
        """Id of the node where it was placed; "" before that, and for a guest."""
        if self.group is None:
            return ""
        return placement_group_table(self.group).get("bundles_to_node_id", {}).get(0) or ""

    def give_back(self) -> None:
        """End the actor, with all below it, and free its place."""
        ray.kill(self.actor)
        if self.group is not None:
            remove_placement_group(self.group)


# Index, nodes of the other engines, nodes to avoid.
Launch = Callable[[int, Iterable[str], Collection[str]], EnginePlace]
AVOID_SECONDS = 900.0


class AvoidedNodes:
    """Nodes where an engine's start failed, for a while: what is broken there (a GPU, a disk) would break the next one.

    Example:
        avoided = AvoidedNodes()
        avoided.add(node_id)
        node_id in avoided.now()   # for AVOID_SECONDS
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.until: dict[str, float] = {}

    def add(self, node: str) -> None:
        if node:
            self.until[node] = self.clock() + AVOID_SECONDS

    def now(self) -> set[str]:
        return {node for node, until in self.until.items() if until > self.clock()}


def launcher(config: RunConfig, model_path: str | None) -> Launch:
    """What starts an engine of this run; `model_path` overrides the policy it starts with."""

    def launch(index: int, occupied: Iterable[str], avoided: Collection[str]) -> EnginePlace:
        rollout = config.rollout.of_engine(index)
        node = emptiest_node(rollout, occupied, avoided)
        group = placement_group(
            [bundle(rollout)],
            strategy="STRICT_PACK",
            bundle_label_selector=[rollout.label_selector] if rollout.label_selector else None,
            _soft_target_node_id=node,
        )
        remote = ray.remote(RolloutActor).options(
            **engine_options(rollout),
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=0
            ),
        )
        actor: Any = remote.remote(replace(config, rollout=rollout), index)
        return EnginePlace(
            group=group,
            actor=actor,
            starting=actor.start.remote(model_path),
            likely_node=node or "",
            size=rollout.tensor_parallel_size,
        )

    return launch


def engine_options(rollout: RolloutConfig) -> dict[str, Any]:
    """What an engine's actor reserves and how many calls it takes, as options of a Ray actor."""
    return {
        "num_cpus": rollout.num_cpus_per_engine,
        "num_gpus": rollout.num_gpus_per_engine,
        "resources": dict(rollout.resources),
        # Requests wait inside the engine, which batches them; weight loads must not queue behind them.
        "max_concurrency": rollout.max_concurrent_responses + 8,
    }


def bundle(rollout: RolloutConfig) -> dict[str, float]:
    """What one engine reserves."""
    return bundle_of(rollout.num_cpus_per_engine, rollout.num_gpus_per_engine, rollout.resources)


def emptiest_node(
    rollout: RolloutConfig, occupied: Iterable[str], avoided: Collection[str] = ()
) -> str | None:
    """Of the nodes that are large enough and have the labels: one with room now, with few engines, with much room.

    A hint: if it has no room left now, Ray places the engine elsewhere. None if only nodes to avoid are left.
    """
    wanted, labels = bundle(rollout), rollout.label_selector
    free, engines = free_by_node(wanted, labels), Counter(occupied)
    fitting = [
        node["NodeID"]
        for node in nodes_with(labels)
        if times(wanted, node["Resources"]) and node["NodeID"] in free.keys() - avoided
    ]
    return min(
        fitting, key=lambda node: (free[node] < 1, engines[node], -free[node], node), default=None
    )
