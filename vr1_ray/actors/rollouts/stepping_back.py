"""Engines step back while the trainer asks for room: without it there is no run, without one of them there is.

Ray gives room to whoever asks first. An engine that waits for a place gives its turn up, and so does one that died with
its node, whose place Ray would move like the trainer's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from vr1_ray.actors.rollouts.engine_health import RESTARTING
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.room import is_gone


@contextmanager
def stepping_back(engines: EngineSet | None) -> Iterator[None]:
    """In this block no engine waits for room; those that did ask again after it.

    Example:
        with stepping_back(engines):
            trainers.restart()
    """
    waiting = []
    for engine in engines.wanted if engines is not None else []:
        if engine.place is None or engine.place.group is None:
            continue
        if engine.health.state == RESTARTING and not engine.place.has_room():
            engine.bury()
            waiting.append(engine)
        elif is_gone(engine.actor):
            assert engines is not None
            engines.lost(engine, f"{engine.name} died, while the trainer was started again")
    try:
        yield
    finally:
        for engine in waiting:
            assert engines is not None
            engines.start(engine)
