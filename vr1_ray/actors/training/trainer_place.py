"""Where the trainer's ranks run: one placement group for the whole run, kept over ranks that are replaced."""

import time

from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table

from vr1_ray.actors.waiting import ActorTimeoutError
from vr1_ray.config import TrainerConfig

LOOK_SECONDS = 0.2  # between two looks at the group


def own_placement(trainer: TrainerConfig) -> PlacementGroup:
    """A bundle for each rank, packed: ranks talk a lot."""
    bundle = {"CPU": trainer.num_cpus_per_worker}
    if trainer.num_gpus_per_worker:
        bundle["GPU"] = trainer.num_gpus_per_worker
    return placement_group(
        [bundle | trainer.resources] * trainer.num_workers,
        strategy="PACK",
        bundle_label_selector=[dict(trainer.label_selector)] * trainer.num_workers,
    )


def await_placement(group: PlacementGroup, *, what: str, seconds: float) -> None:
    """Until every bundle of the group has a node, also after one died. Raises ActorTimeoutError."""
    deadline = time.monotonic() + seconds
    while placement_group_table(group).get("state") != "CREATED":
        if time.monotonic() >= deadline:
            raise ActorTimeoutError(
                f"reserving the {what}'s CPUs and GPUs: the cluster had no room for {group.bundle_specs} within "
                f"{seconds:.0f} s"
            )
        time.sleep(LOOK_SECONDS)
