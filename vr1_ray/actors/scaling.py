"""How many actors a queue wants: a pure policy with its own memory and no clock. Knows no Ray.

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
