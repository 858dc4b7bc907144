"""The rollout engines of a run as a set that changes: engines start, die, are replaced, join and leave.

What an engine may do is said by its state (`engine_health.py`). This file turns Ray's answers into passages
between states, and states into calls: starts in the background, weight loads, probes apart from requests.
A dead engine is always replaced by a new process, whatever was lost: the actor, or vLLM below a live one.

Runs on the driver. Nothing here waits but `wait_until_started` and `sync`: `rollout_pool.py` waits for `pending`.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ray

from vr1_ray.actors.rollouts.engine import LOADING, NEVER, STARTING, Engine, is_interrupted, is_loss
from vr1_ray.actors.rollouts.engine_health import (
    DEAD,
    HEALTHY,
    LOADED,
    RETIRED,
    SUSPECT,
    EngineHealth,
    HealthyMinimum,
)
from vr1_ray.actors.rollouts.engine_place import Launch
from vr1_ray.actors.waiting import ActorError, ActorTimeoutError, take
from vr1_ray.config import EngineHealthConfig

if TYPE_CHECKING:  # a set is handed its transport, which is built on sets like this one
    from vr1_ray.actors.weights.weight_sync import WeightTransport

LOOK_SECONDS = 1.0  # between two looks at an engine that waits for room


class EngineSet:
    """Engines, each in one state; those in `serving` get requests.

    Example:
        engines = EngineSet(launcher(config, None), limits=config.rollout.health, number=2,
                            start_seconds=600, call_seconds=3600, note=print)
        engines.wait_until_started()
        engines.sync(transport)          # all engines that live have the new weights; the others will get them
        engines.resize(3)                # one more starts in the background
        engines.tick()                   # react to what happened since
    """

    def __init__(
        self,
        launch: Launch,
        *,
        limits: EngineHealthConfig,
        number: int,
        start_seconds: float,
        call_seconds: float,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.launch, self.limits, self.note, self.clock = launch, limits, note, clock
        self.start_seconds, self.call_seconds = start_seconds, call_seconds
        self.minimum = HealthyMinimum(limits, clock=clock)
        self.transport: WeightTransport | None = None
        self.is_busy: Callable[[Engine], bool] = lambda engine: False  # whether it has requests
        self.is_starting = True  # the run's first engines have not all started
        self.num_restarts = 0
        self.num_launched = 0
        self.engines: list[Engine] = []
        self.resize(number)

    @property
    def version(self) -> int:
        """The policy version that serving engines have."""
        return self.transport.version if self.transport else 0

    @property
    def serving(self) -> list[Engine]:
        return [engine for engine in self.engines if engine.health.state == HEALTHY]

    @property
    def wanted(self) -> list[Engine]:
        """All that are not retired."""
        return [engine for engine in self.engines if engine.health.state != RETIRED]

    @property
    def pending(self) -> list[Any]:
        """Refs of calls under way."""
        calls = [call for engine in self.wanted for call in (engine.call, engine.probe)]
        return [call for call in calls if call is not None]

    @property
    def next_deadline(self) -> float:
        """When `tick` must be called at the latest."""
        return min((engine.next_deadline for engine in self.wanted), default=NEVER)

    def resize(self, number: int) -> None:
        """Have `number` engines: new ones start in the background, left-over ones finish what they do.

        Those that serve are kept before others, older ones before younger ones.
        """
        for _ in range(number - len(self.wanted)):
            health = EngineHealth(self.limits, clock=self.clock)
            engine = Engine(index=self.num_launched, health=health)
            self.num_launched += 1
            self.engines.append(engine)
            engine.arrival = "" if self.is_starting else "joins"
            self._start(engine)
        by_use = sorted(self.wanted, key=lambda one: (one.health.state != HEALTHY, one.index))
        for engine in by_use[number:]:
            engine.health.retire()

    def sync(self, transport: "WeightTransport") -> None:
        """Bring every engine that has weights to the published version, all at once.

        One that is lost meanwhile is replaced; one that is just starting loads them when it has started.
        Raises ActorError if an engine then reports another version.
        """
        for engine in self.wanted:
            if engine.phase == LOADING:
                engine.call, engine.deadline = None, NEVER  # it would answer for the version before
        self.tick()
        self.transport, transport.checksum = transport, None
        loading = [engine for engine in self.wanted if engine.health.state in LOADED]
        for engine in loading:
            engine.health.outdated()
        for engine, call in zip(loading, transport.load_all(loading), strict=True):
            self._await_load(engine, call)
        while calls := [e.call for e in loading if e.call is not None and e.phase == LOADING]:
            ray.wait(calls, num_returns=1, timeout=max(0.0, self.next_deadline - self.clock()))
            self.tick()
        if any(engine.health.state not in LOADED for engine in loading):
            transport.check()  # with a trainer rank its weights are lost, and no engine was to blame

    def wait_until_started(self) -> None:
        """Until the engines of the start serve. One without room is not waited for if enough others do.

        Raises ActorError with the engine's own cause first.
        """
        deadline = self.clock() + self.start_seconds
        while starting := [e for e in self.wanted if e.health.state != HEALTHY]:
            enough = len(self.serving) >= self.limits.min_healthy
            if enough and not any(engine.has_room for engine in starting):
                break
            if self.clock() > deadline:
                names = ", ".join(engine.name for engine in starting)
                raise ActorTimeoutError(
                    f"starting the engines: no answer from {names} within {self.start_seconds:.0f} s"
                )
            limit = max(0.0, min(deadline, self.next_deadline) - self.clock())
            if self.pending:
                ray.wait(self.pending, num_returns=1, timeout=limit)
            else:
                time.sleep(min(limit, LOOK_SECONDS))
            self.tick()
        self.is_starting = False

    def tick(self) -> None:
        """React to what happened.

        Raises ActorError if too few engines are left (`rollout.health.min_healthy`), or if one can't start at all.
        """
        pending = self.pending
        ready = ray.wait(pending, num_returns=len(pending), timeout=0)[0] if pending else []
        for engine in self.wanted:
            if engine.call in ready:
                self._take_call(engine)
            if engine.probe in ready:
                self._take_probe(engine)
        now = self.clock()
        for engine in self.wanted:
            self._look(engine, now)
        retired = [engine for engine in self.engines if engine.health.state == RETIRED]
        for engine in [one for one in retired if not self.is_busy(one)]:
            engine.bury()
            if not engine.health.reason:  # one that was given up stays, to tell why
                self.engines.remove(engine)
        problem = self.minimum.problem(engine.health for engine in self.engines)
        if problem:
            raise ActorError(problem)

    def lost(self, engine: Engine, reason: str) -> None:
        """The engine is gone, as one of its requests tells: it is replaced in the background."""
        if engine.health.state == RETIRED:
            engine.bury()
        elif engine.health.state != DEAD:
            engine.health.died(reason)
            self._died(engine)

    def close(self, *, seconds: float) -> None:
        """End all engines and give their places back; they have `seconds` to end by themselves."""
        calls = [e.actor.close.remote() for e in self.wanted if e.health.state in LOADED]
        if calls and seconds:
            ray.wait(calls, num_returns=len(calls), timeout=seconds)
        for engine in self.engines:
            engine.bury()

    def _start(self, engine: Engine) -> None:
        occupied = [one.node or one.place.likely_node for one in self.wanted if one.place]
        engine.place = self.launch(engine.index, occupied)
        engine.call, engine.phase, engine.has_room = engine.place.starting, STARTING, False
        engine.deadline = self.clock() + LOOK_SECONDS

    def _load(self, engine: Engine) -> None:
        """Bring one engine to the published version; without one, its own weights are the present ones."""
        if self.transport is None:
            self._serve(engine)
        else:
            self._await_load(engine, self.transport.load(engine))

    def _await_load(self, engine: Engine, call: Any) -> None:
        engine.call, engine.phase = call, LOADING
        engine.deadline = self.clock() + self.call_seconds

    def _serve(self, engine: Engine) -> None:
        engine.health.loaded()
        if engine.arrival:
            self.note(f"{engine.name} {engine.arrival}, with policy version {self.version}")
            engine.arrival = ""
        engine.probe_at = min(engine.probe_at, self.clock() + self.limits.probe_seconds)

    def _take_call(self, engine: Engine) -> None:
        call, phase = engine.call, engine.phase
        engine.call, engine.deadline = None, NEVER
        try:
            answer = take(call, actor=engine.name, phase=phase)
        except ActorError as error:
            if is_interrupted(error):
                self._load(engine)
                return
            if not is_loss(error) and self.is_starting:
                raise  # the cause is in the settings, and would come again
            self.lost(engine, str(error))
            return
        if phase == STARTING:
            engine.node = answer
            engine.health.started()
            self._load(engine)
        elif phase == LOADING:
            assert self.transport is not None
            self.transport.check_loaded(engine, *answer)
            self._serve(engine)

    def _take_probe(self, engine: Engine) -> None:
        probe, engine.probe, engine.probe_deadline = engine.probe, None, NEVER
        engine.probe_at = self.clock() + self.limits.probe_seconds
        if engine.health.state not in LOADED:
            return
        try:
            take(probe, actor=engine.name, phase="answering a probe")
        except ActorError as error:
            self.lost(engine, str(error))
        else:
            engine.health.probe_answered()

    def _look(self, engine: Engine, now: float) -> None:
        """What is due by the clock."""
        if engine.health.state == DEAD and now >= engine.health.restart_at:
            self._restart(engine)
        elif engine.call is not None and now >= engine.deadline:
            self._call_is_late(engine, now)
        elif engine.probe is not None and now >= engine.probe_deadline:
            engine.probe, engine.probe_deadline, engine.probe_at = None, NEVER, now
            limit = self.limits.probe_timeout_seconds
            engine.health.probe_failed(f"{engine.name}: no answer to a probe within {limit:g} s")
            if engine.health.state == DEAD:
                self._died(engine)
            elif engine.health.state == SUSPECT:
                self.note(f"{engine.health.reason}; it gets no new requests until it answers")
        elif engine.health.state in LOADED and engine.probe is None and now >= engine.probe_at:
            engine.probe = engine.actor.probe.remote()
            engine.probe_deadline = now + self.limits.probe_timeout_seconds

    def _call_is_late(self, engine: Engine, now: float) -> None:
        assert engine.place is not None
        if engine.phase == STARTING and not engine.has_room:
            # The time of a start runs from when there was room for it: until then it may wait as long as it must.
            engine.has_room = engine.place.has_room()
            engine.deadline = now + (self.start_seconds if engine.has_room else LOOK_SECONDS)
            return
        limit = self.start_seconds if engine.phase == STARTING else self.call_seconds
        self.lost(engine, f"{engine.phase}: no answer from {engine.name} within {limit:.0f} s")

    def _restart(self, engine: Engine) -> None:
        engine.health.restart()
        if engine.health.state == RETIRED:
            self.note(f"{engine.name} is {engine.health.reason.splitlines()[0]}")
            return
        self.num_restarts += 1
        engine.arrival = "serves again"
        self._start(engine)

    def _died(self, engine: Engine) -> None:
        self.note(f"{engine.health.reason.splitlines()[0]}; {engine.name} is started anew")
        engine.bury()
