"""How a bridging run stands, in one line: rows, chains kept, requests, tokens, cost, time left."""

import time
from collections.abc import Callable

from vr1_ray.bridging.rows import Outcome
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.tally import Tally
from vr1_ray.config import BridgeConfig
from vr1_ray.wording import counted


class Progress:
    """Counts outcomes; `add` returns a line when it is time to print one.

    Example:
        progress = Progress(config, num_rows=1000)
        if line := progress.add(outcome):
            print(line)
    """

    def __init__(
        self, config: BridgeConfig, num_rows: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.num_rows, self.every = num_rows, config.progress_seconds
        self._tally = Tally(config, load_rules(config.rules))
        self._clock = clock
        self._began = self._printed = clock()

    def add(self, outcome: Outcome) -> str:
        """Count one row. The line to print now, or ""."""
        self._tally.add(outcome)
        if self._clock() - self._printed < self.every:
            return ""
        self._printed = self._clock()
        return self.line()

    def line(self) -> str:
        """The present state. Time left is by the rows done in this run, kept replies and new ones alike."""
        done, seconds = self._tally.asked, max(1e-6, self._clock() - self._began)
        left = (self.num_rows - done) * seconds / max(1, done)
        used = self._tally.usage.values()
        tokens = sum(item.prompt_tokens + item.completion_tokens for item in used)
        return (
            f"rows {done}/{self.num_rows} | kept {self._tally.kept} | {done / seconds:.1f} rows/s | "
            f"requests {sum(item.new_replies for item in used)} new, "
            f"{sum(item.replies - item.new_replies for item in used)} from the store | {counted(tokens, 'token')} | "
            f"cost {sum(item.new_cost for item in used):.2f} | {_minutes(left)} left"
        )


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
