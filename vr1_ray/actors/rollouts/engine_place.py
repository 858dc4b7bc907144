"""Where one engine runs: a placement group of its own, and its actor in it.

One group an engine is what lets engines come and go: each waits for room alone (Ray's autoscaler sees it),
and the loss of one gives back its place and no other. A group has one bundle, so all GPUs of an engine
with tensor parallelism are on one node.
"""

from collections import Counter
from collections.abc import Callable, Iterable
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

    def give_back(self) -> None:
        """End the actor, with all below it, and free its place."""
        ray.kill(self.actor)
        if self.group is not None:
            remove_placement_group(self.group)


Launch = Callable[[int, Iterable[str]], EnginePlace]  # index, nodes of the other engines


def launcher(config: RunConfig, model_path: str | None) -> Launch:
    """What starts an engine of this run; `model_path` overrides the policy it starts with."""

    def launch(index: int, occupied: Iterable[str]) -> EnginePlace:
        rollout = config.rollout.of_engine(index)
        node = emptiest_node(rollout, occupied)
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
    wanted = {
        "CPU": rollout.num_cpus_per_engine,
        "GPU": rollout.num_gpus_per_engine,
        **rollout.resources,
    }
    return {name: amount for name, amount in wanted.items() if amount}


def emptiest_node(rollout: RolloutConfig, occupied: Iterable[str]) -> str | None:
    """Of the nodes that are large enough and have the labels, the one with the fewest engines.

    A hint: if it has no room left now, Ray places the engine elsewhere.
    """
    engines = Counter(occupied)
    wanted, labels = bundle(rollout), rollout.label_selector
    fitting = [
        node["NodeID"]
        for node in ray.nodes()
        if node["Alive"]
        and all(node["Resources"].get(name, 0.0) >= amount for name, amount in wanted.items())
        and all(node.get("Labels", {}).get(key) == value for key, value in labels.items())
    ]
    return min(fitting, key=lambda node: (engines[node], node), default=None)
