"""How fast a model may be asked: requests and tokens a minute, on a clock that tests can set."""

import asyncio
import time
from collections.abc import Callable

_BURST_SECONDS = 5.0  # how much of the allowance may be used at once after a pause


class RateLimit:
    """Requests and tokens a minute; 0 is no limit.

    What a request costs in tokens is known after it, so it is charged then, and the next ones wait until
    the debt is worked off.

    Example:
        limit = RateLimit(requests_per_minute=60, tokens_per_minute=0)
        await limit.wait(); reply = await ask(); limit.charge(reply.prompt_tokens + reply.completion_tokens)
    """

    def __init__(
        self,
        requests_per_minute: float,
        tokens_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = {"requests": requests_per_minute / 60, "tokens": tokens_per_minute / 60}
        self._clock = clock
        self._left = {name: self._burst(name) for name in self._rates}
        self._updated = clock()

    async def wait(self) -> None:
        """Return when the next request may be made."""
        while (seconds := self.seconds_to_wait()) > 0:
            await asyncio.sleep(seconds)
        self._left["requests"] -= 1

    def charge(self, tokens: int) -> None:
        """Take the tokens of a request that was made off the allowance."""
        self._left["tokens"] -= tokens

    def seconds_to_wait(self) -> float:
        """Seconds until a request may be made; 0 if it may now."""
        now = self._clock()
        for name, rate in self._rates.items():
            grown = self._left[name] + (now - self._updated) * rate
            self._left[name] = min(grown, self._burst(name))
        self._updated = now
        waits = [
            (need - self._left[name]) / rate
            for (name, rate), need in zip(self._rates.items(), (1.0, 0.0), strict=True)
            if rate and self._left[name] < need
        ]
        return max(waits, default=0.0)

    def _burst(self, name: str) -> float:
        return max(1.0, self._rates[name] * _BURST_SECONDS)
