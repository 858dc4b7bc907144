"""Engines step back while the trainer asks for room: without it there is no run, without one of them there is.

Ray gives room to whoever asks first. An engine that waits for a place gives its turn up, and so does one that died with
its node, whose place Ray would move like the trainer's own. `EngineSet.tick` starts them anew.
"""

from vr1_ray.actors.rollouts.engine_health import RESTARTING
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.room import is_gone


def step_back(engines: EngineSet | None) -> None:
    """From here to the next tick no engine of a run asks for room. To be called again for those that die meanwhile.

    Example:
        trainers.restart(make_room=lambda: step_back(engines))
    """
    if engines is None:  # a cold start has none
        return
    for engine in engines.engines:
        place = engine.place
        if place is None or place.group is None:  # a guest of the trainer asks for nothing
            continue
        if engine.health.state == RESTARTING and not place.has_room():
            engine.bury()
        elif is_gone(place.actor):
            engines.lost(engine, f"{engine.name} died, while the trainer was started again")
