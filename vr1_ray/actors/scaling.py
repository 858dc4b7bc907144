"""How many actors a queue wants, how many engines a run: pure policies without a clock. They know no Ray.

The caller tells it the time and what it sees, and acts on what it answers; each answer has its reason.
"""

import math
from dataclasses import dataclass, field


@dataclass
class QueueScaler:
    """Grows at once when calls queue up, shrinks by one after every `idle_seconds` without need.

    Example:
        scaler = QueueScaler(least=1, most=8)
        scaler.decide(now=0.0, running=1, busy=1, queued=12)  # (4, "12 calls wait for 1 actors")
    """

    least: int
    most: int
    calls_per_actor: int = 4  # a queue this long per actor is fine
    idle_seconds: float = 30.0
    _needed_at: float | None = field(default=None, init=False)  # when all actors were last busy

    def decide(self, *, now: float, running: int, busy: int, queued: int) -> tuple[int, str] | None:
        """The number of actors to have and why, or None to leave it at `running`."""
        wanted = min(self.most, math.ceil(queued / self.calls_per_actor))
        if wanted > running:
            self._needed_at = now
            return wanted, f"{queued} calls wait for {running} actors"
        if self._needed_at is None or queued or busy >= running:
            self._needed_at = now
        idle = now - self._needed_at
        if running > self.least and idle >= self.idle_seconds:
            self._needed_at = now
            return running - 1, f"for {idle:.0f} s at most {busy} of {running} actors were busy"
        return None


@dataclass
class EngineScaler:
    """How many engines a run wants, from what its steps measured; one engine more or less at a time.

    While the trainer waits for most of a step and the engines are at work all that time, one more engine is
    worth it. One is given up when the trainer would not wait for most of a step without it either. Engines
    that wait for the longest response do not count as at work: more of them would not shorten that.

    Example:
        scaler = EngineScaler(least=1, most=8)
        scaler.decide(running=1, step_seconds=10.0, wait_seconds=8.0, busy_seconds=7.5)   # None
        scaler.decide(running=1, step_seconds=10.0, wait_seconds=8.0, busy_seconds=7.5)   # (2, "...")
    """

    least: int
    most: int
    patience: int = 2  # steps in a row that must say the same
    grow_above: float = 0.6  # share of a step that the trainer waits
    shrink_below: float = 0.4  # the share it may at most be with one engine less
    busy_above: float = 0.7  # share of the waiting that the engines have work
    _said: list[int] = field(default_factory=list, init=False)  # what the last steps wanted

    def decide(
        self, *, running: int, step_seconds: float, wait_seconds: float, busy_seconds: float
    ) -> tuple[int, str] | None:
        """The number of engines to have and why, or None to leave it at `running`.

        Of one step: its length, how long the trainer waited for rollouts, and how long engines had
        requests (mean over engines).
        """
        waits = wait_seconds / step_seconds
        at_work = busy_seconds / wait_seconds if wait_seconds else 0.0
        wanted = self._wanted(running, waits, at_work)
        self._said = [*self._said, wanted][-self.patience :]
        if wanted == running or self._said != [wanted] * self.patience:
            return None
        self._said.clear()
        return wanted, (
            f"the trainer waits for {waits:.0%} of a step, engines are at work for {at_work:.0%} of that"
        )

    def _wanted(self, running: int, waits: float, at_work: float) -> int:
        if not self.least <= running <= self.most:
            return min(max(running, self.least), self.most)
        if running < self.most and waits > self.grow_above and at_work > self.busy_above:
            return running + 1
        if running > self.least:
            longer = waits * running / (running - 1)
            if longer / (longer + 1 - waits) < self.shrink_below:
                return running - 1
        return running
