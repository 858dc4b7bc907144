"""The health of rollout engines: a pure state machine with a clock of the caller's. Knows no Ray.

    RESTARTING --started--> STALE --loaded--> HEALTHY <--answered / failed--> SUSPECT
        ^                     ^                  |                               |
        |                     +----outdated------+-------------------------------+
        |                     +--outdated-- ASLEEP <--fell_asleep-- any that has weights
        +--restart-- DEAD <--died, or too many failed probes-- any of these
                                                RETIRED: wanted no longer, or given up

Only a HEALTHY engine gets requests: it answers, and it has the weights of the present policy version. A
SUSPECT one keeps those it has until it answers or is dead. An engine that starts, for the first time too,
is RESTARTING; one with other weights than the present ones is STALE. One that gave its memory to the trainer is
ASLEEP until the next weights come: it answers probes, and counts as one that serves.
"""

import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from vr1_ray.config import EngineHealthConfig


class EngineState(StrEnum):
    """See the drawing above."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DEAD = "dead"
    RESTARTING = "restarting"
    STALE = "stale"
    RETIRED = "retired"
    ASLEEP = "asleep"


HEALTHY, SUSPECT, DEAD, RESTARTING, STALE, RETIRED, ASLEEP = EngineState
LOADED = (HEALTHY, SUSPECT, STALE, ASLEEP)  # has started and takes calls


class EngineHealth:
    """One engine's state, and what led to it.

    Example:
        health = EngineHealth(EngineHealthConfig())
        health.started()
        health.loaded()
        health.died("its process is gone")
        if health.restart_at <= now:
            health.restart()         # RESTARTING, or RETIRED if it was started too often
    """

    def __init__(
        self, limits: EngineHealthConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits, self.clock = limits, clock
        self.state = RESTARTING
        self.reason = ""  # why it is SUSPECT, DEAD or RETIRED
        self.restart_at = float("inf")  # when a DEAD engine may be started again
        self._failed_probes = 0
        self._restarts: list[float] = []  # times of those in the window

    def started(self) -> None:
        """It can take calls, with whatever weights it was started with."""
        self._expect(RESTARTING)
        self.state = STALE

    def loaded(self) -> None:
        """It has the weights of the present policy version, and has just answered."""
        self._expect(*LOADED)
        self.state, self.reason, self._failed_probes = HEALTHY, "", 0

    def outdated(self) -> None:
        """There is a newer policy version than the one it has, or it sleeps and has none."""
        self._expect(*LOADED)
        self.state = STALE

    def fell_asleep(self) -> None:
        """It was asked to give the memory of its weights back."""
        self._expect(HEALTHY, SUSPECT, STALE)
        self.state, self.reason = ASLEEP, ""

    def probe_answered(self) -> None:
        """A probe was answered in time."""
        self._expect(*LOADED)
        self._failed_probes = 0
        if self.state == SUSPECT:
            self.state, self.reason = HEALTHY, ""

    def probe_failed(self, reason: str) -> None:
        """A probe was not answered in time, by an engine whose process is there."""
        self._expect(*LOADED)
        self._failed_probes += 1
        if self._failed_probes >= self.limits.probes_until_dead:
            self.died(f"{reason}, {self._failed_probes} times in a row")
        elif self.state == HEALTHY:
            self.state, self.reason = SUSPECT, reason

    def died(self, reason: str) -> None:
        """Its process is gone, or it said that it can't go on, or its start failed."""
        self._expect(*LOADED, RESTARTING)
        self.state, self.reason, self._failed_probes = DEAD, reason, 0
        now = self.clock()
        self._restarts = [at for at in self._restarts if now - at < self._window]
        self.restart_at = now + self.limits.restart_delay_seconds * 2 ** len(self._restarts)

    def restart(self) -> None:
        """Begin to start it again, or give it up: RETIRED after `max_restarts` within the window."""
        self._expect(DEAD)
        if len(self._restarts) >= self.limits.max_restarts:
            self.state = RETIRED
            self.reason = (
                f"given up after {len(self._restarts)} restarts within {self._window:g} s "
                f"(rollout.health.max_restarts); the last cause: {self.reason}"
            )
            return
        self._restarts.append(self.clock())
        self.state, self.restart_at = RESTARTING, float("inf")

    def retire(self) -> None:
        """It is wanted no longer."""
        self.state, self.reason = RETIRED, ""

    @property
    def _window(self) -> float:
        return self.limits.restart_window_seconds

    def _expect(self, *states: EngineState) -> None:
        assert self.state in states, f"{self.state} is none of {', '.join(states)}"


class HealthyMinimum:
    """Whether enough engines serve; fewer are borne for `recovery_seconds`, if the others may come back.

    Example:
        problem = HealthyMinimum(config.rollout.health).problem(engine.health for engine in engines)
        if problem:
            raise ActorError(problem)
    """

    def __init__(
        self, limits: EngineHealthConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits, self.clock = limits, clock
        self._short_since: float | None = None

    def problem(self, engines: Iterable[EngineHealth]) -> str | None:
        """What ends the run: the first line names the engine's own cause. None while all is well."""
        engines = list(engines)
        least, now = self.limits.min_healthy, self.clock()
        if sum(engine.state in (HEALTHY, SUSPECT, ASLEEP) for engine in engines) >= least:
            self._short_since = None
            return None
        if self._short_since is None:
            self._short_since = now
        hopeful = sum(engine.state != RETIRED for engine in engines)
        seconds = now - self._short_since
        if hopeful >= least and seconds <= self.limits.recovery_seconds:
            return None
        causes = [engine.reason for engine in engines if engine.reason]
        counts = ", ".join(
            f"{number} {state}"
            for state in EngineState
            if (number := sum(engine.state == state for engine in engines))
        )
        return (
            f"{causes[-1] if causes else 'no engine could be placed or started'}\n"
            f"(fewer than rollout.health.min_healthy {least} engines serve, for {seconds:.0f} s: {counts}; see "
            "logs/rollout_*.log. If starting only takes long, raise rollout.health.recovery_seconds)"
        )
