"""Where a step's time goes: laps of one clock, so that they add up to the step."""

import time


class Clock:
    """Laps since `begin`, those of one name added up; `metrics` gives `time/NAME` and `time/step` in seconds."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.laps: dict[str, float] = {}
        self.started = self.last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now

    def metrics(self) -> dict[str, float]:
        laps = {f"time/{name}": seconds for name, seconds in self.laps.items()}
        return laps | {"time/step": time.monotonic() - self.started}
