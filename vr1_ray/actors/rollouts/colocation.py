"""Engines on the trainer's GPUs: how they are started there, and how they make room.

The turns of a step: engines sample; `put_to_sleep`; reference and trainer work; the weights are published, and
`EngineSet.sync` wakes each engine as it loads them. The trainer keeps its states on the GPU all the time and gives
back only what torch had cached, so an engine awake (`rollout.gpu_memory_utilization`) must fit beside them: `vr1
check` adds it up.
"""

from collections.abc import Iterable
from typing import Any

import ray

from vr1_ray.actors.rollouts.engine import FALLING_ASLEEP
from vr1_ray.actors.rollouts.engine_health import HEALTHY, SUSPECT
from vr1_ray.actors.rollouts.engine_place import EnginePlace, Launch, engine_options
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.rollout_actor import RolloutActor
from vr1_ray.actors.seats import Seats
from vr1_ray.config import RunConfig


def guest_launcher(config: RunConfig, model_path: str | None, seats: Seats) -> Launch:
    """What starts an engine in its seat; `model_path` overrides the policy it starts with."""

    def launch(index: int, occupied: Iterable[str]) -> EnginePlace:
        options = engine_options(config.rollout) | {"num_gpus": 0, "resources": {}}
        remote = ray.remote(RolloutActor).options(**options, **seats.of_engine(index))
        actor: Any = remote.remote(config, index, seats.gpus_of_engine(index))
        return EnginePlace(
            group=None, actor=actor, starting=actor.start.remote(model_path), likely_node=""
        )

    return launch


def put_to_sleep(engines: EngineSet) -> None:
    """Have every engine give its GPU memory back until the next sync, and wait until all have.

    One that is starting is waited for: it would take memory while the trainer works. One that is lost stays away
    until the sync, for nothing is started again before it.
    """
    while True:
        for engine in engines.wanted:
            if engine.health.state in (HEALTHY, SUSPECT):
                engine.health.fell_asleep()
                engine.call, engine.phase = engine.actor.sleep.remote(), FALLING_ASLEEP
                engine.deadline = engines.clock() + engines.call_seconds
        calls = [engine.call for engine in engines.wanted if engine.call is not None]
        if not calls:
            return
        limit = max(0.0, engines.next_deadline - engines.clock())
        ray.wait(calls, num_returns=1, timeout=limit)
        engines.tick()
