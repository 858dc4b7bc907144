"""A service behind a reward that is down: how long it is waited for, and when it is asked again. Knows no Ray.

A service that is down says nothing of a response, so its outage costs time and no rollout. One that answers other
rollouts meanwhile is not down: what it has no reward for then is invalid after a few tries.
"""

import time
from collections.abc import Callable

LONGEST_PAUSE = 30.0  # seconds between two tries
TRIES_OF_ONE = 3  # of a rollout, though the service answers others


class Outages:
    """Whether the rewards of a pool are there. The caller tells what happens and acts on what this answers.

    Example:
        outages = Outages("judge", limit_seconds=600.0, note=print)
        outages.retry_at(tries=1, failed_first=now, reason="llm_judge: no connection")  # in a second
        outages.answered()
    """

    def __init__(
        self,
        pool: str,
        *,
        limit_seconds: float,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pool, self.limit_seconds, self.note, self.clock = pool, limit_seconds, note, clock
        self.since: float | None = None
        self.is_told = False
        self.answered_at = -float("inf")
        self.num_outages = 0  # that were told

    def answered(self) -> None:
        """A rollout got its reward."""
        self.answered_at = self.clock()
        if self.is_told and self.since is not None:
            seconds = self.answered_at - self.since
            self.note(f"reward pool {self.pool}: its rewards are there again after {seconds:.0f} s")
        self.since, self.is_told = None, False

    def retry_at(self, *, tries: int, failed_first: float, reason: str) -> float | None:
        """When a rollout without reward is to be tried again, after so many tries; None: it is waited for no longer."""
        now = self.clock()
        if self.since is None:
            self.since = now
        if now - self.since >= self.limit_seconds:
            return None
        if tries > TRIES_OF_ONE and self.answered_at > failed_first:
            return None
        if tries > 1 and not self.is_told and self.answered_at <= failed_first:
            self.is_told = True
            self.num_outages += 1
            self.note(
                f"ALARM reward pool {self.pool}: {reason.splitlines()[0]}; it is waited for, up to "
                f"{self.limit_seconds:g} s (reward_pools.{self.pool}.outage_seconds)"
            )
        return now + min(LONGEST_PAUSE, 2.0 ** (tries - 1))
