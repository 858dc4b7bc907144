"""Where the trainer's ranks run: one placement group for the whole run, kept over ranks that are replaced."""

import time
from collections.abc import Callable
from typing import Any

from ray.util.placement_group import PlacementGroup, placement_group

from vr1_ray.actors.room import RoomWatch, bundle_of, has_place, is_gone, never_ran
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


def launch_all(
    launch: Callable[[int], Any],
    number: int,
    *,
    limit_seconds: float,
    make_room: Callable[[], None],
    note: Callable[[str], None],
) -> list[Any]:
    """The ranks' actors, each with a process; one that has ended tells why when it is called.

    A node may have died before Ray knows: what was placed there never runs, and is launched again where the place has
    moved. `make_room` is called again and again meanwhile. Raises NoRoomError after `limit_seconds`.
    """
    actors = {f"trainer {rank}": launch(rank) for rank in range(number)}
    watch = RoomWatch(actors, note=note, limit_seconds=limit_seconds)
    while waiting := [
        name
        for name, actor in actors.items()
        if never_ran(actor) or not (has_place(actor) or is_gone(actor))
    ]:
        for rank, (name, actor) in enumerate(actors.items()):
            if name in waiting and never_ran(actor):
                actors[name] = launch(rank)
        make_room()
        watch(waiting)
        time.sleep(LOOK_SECONDS)
    return list(actors.values())
