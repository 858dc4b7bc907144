"""Waiting for engines. Only this time counts against those that don't serve."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

IDLE_SECONDS = 0.2  # a wait when nothing at all is under way


class Watch:
    """Waits, and a clock of these waits. It stands still while the trainer works or a checkpoint is written.

    An engine that has started meanwhile serves only when somebody looks; it must not be counted as one that failed to.

    Example:
        watch = Watch(time.monotonic)
        ready = watch.wait(refs, until=deadline)
        watch.seconds()  # of all waits so far
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._seconds = 0.0

    def seconds(self) -> float:
        return self._seconds

    def wait(self, refs: Sequence[Any], *, until: float) -> list[Any]:
        """Those of `refs` that are ready, after waiting for the first; none if it is `until` before that."""
        began = self.clock()
        limit = max(0.0, until - began)
        ready: list[Any] = []
        if refs:
            ready, _ = ray.wait(list(refs), num_returns=1, timeout=limit, fetch_local=False)
        else:
            time.sleep(min(limit, IDLE_SECONDS))
        self._seconds += self.clock() - began
        return ready
