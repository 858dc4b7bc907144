"""Where the trainer's ranks run: one placement group for the whole run, kept over ranks that are replaced."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.util.placement_group import PlacementGroup, placement_group

from vr1_ray.actors.room import RoomWatch, bundle_of, has_place, is_gone
from vr1_ray.config import TrainerConfig

LOOK_SECONDS = 0.5  # between two looks at the ranks


def own_placement(trainer: TrainerConfig) -> PlacementGroup:
    """A bundle for each rank, packed: ranks talk a lot."""
    cpus, gpus = trainer.num_cpus_per_worker, trainer.num_gpus_per_worker
    return placement_group(
        [bundle_of(cpus, gpus, trainer.resources)] * trainer.num_workers,
        strategy="PACK",
        bundle_label_selector=[dict(trainer.label_selector)] * trainer.num_workers,
    )


def await_places(
    ranks: Mapping[str, Any],
    *,
    limit_seconds: float,
    make_room: Callable[[], None],
    note: Callable[[str], None],
) -> None:
    """Until every rank has a process, also where its node died and its place moves; one that ends tells why when called.

    `make_room` is called again and again meanwhile. Raises NoRoomError after `limit_seconds`.
    """
    watch = RoomWatch(ranks, note=note, limit_seconds=limit_seconds)
    while waiting := [
        name for name, actor in ranks.items() if not (has_place(actor) or is_gone(actor))
    ]:
        make_room()
        watch(waiting)
        time.sleep(LOOK_SECONDS)
