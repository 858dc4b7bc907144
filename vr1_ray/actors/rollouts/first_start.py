"""Waiting for the engines of a run's start."""

from typing import TYPE_CHECKING

from vr1_ray.actors.rollouts.engine_health import HEALTHY
from vr1_ray.actors.waiting import ActorTimeoutError

if TYPE_CHECKING:
    from vr1_ray.actors.rollouts.engine_set import EngineSet


def until_started(engines: "EngineSet") -> None:
    """Until the engines of the start serve. One without room is not waited for if enough others do.

    Raises ActorTimeoutError, or ActorError with the engine's own cause first.
    """
    deadline = engines.clock() + engines.start_seconds
    while starting := [e for e in engines.wanted if e.health.state != HEALTHY]:
        enough = len(engines.serving) >= engines.limits.min_healthy
        if enough and not any(engine.has_room for engine in starting):
            break
        if engines.clock() > deadline:
            names = ", ".join(engine.name for engine in starting)
            raise ActorTimeoutError(
                f"starting the engines: no answer from {names} within {engines.start_seconds:.0f} s"
            )
        engines.watch.wait(engines.pending, until=min(deadline, engines.next_deadline))
        engines.tick()
