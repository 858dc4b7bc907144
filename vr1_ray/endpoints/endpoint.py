"""Calling a service over HTTP: time limits, retries with back-off, a concurrency cap.

What may pass (no connection, too slow, 408, 409, 425, 429, 5xx, a reply that can't be read) is tried again;
then there is no result: `EndpointUnavailableError`. What is the fault of one request (400, 413, 422) makes that one
unavailable at once. Any other status is a wrong setting (401, 403, 404 ...) and an error.

It knows nothing of judges or schemas: its callers say what is sent and how it is read.
"""

import asyncio
import os
import random
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PASSING_STATUS = frozenset({408, 409, 425, 429})
_REFUSED_STATUS = frozenset({400, 413, 422})


class EndpointUnavailableError(RuntimeError):
    """The service gives no result now, through no fault of the caller's settings; the text says why."""


class PassingError(RuntimeError):
    """A failure that may pass: the call is tried again, not before `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Endpoint:
    """Makes calls with limits, from any thread; all of them share `max_concurrent`.

    One group takes at most about `max_attempts * (timeout_seconds + wait)` a wave of `max_concurrent` calls,
    where the waits double from `backoff_seconds`: keep that below `reward_pool.timeout_seconds`. A wait the
    service asks for (Retry-After) is kept up to `timeout_seconds`.

    Example:
        endpoint = Endpoint(timeout_seconds=15, max_attempts=3, backoff_seconds=0.5, max_concurrent=16)
        endpoint.call_all(ask, questions)  # `async def ask(question)` raises PassingError, or returns
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        max_attempts: int,
        backoff_seconds: float,
        max_concurrent: int = 1,
    ) -> None:
        for name, value, least in (
            ("timeout_seconds", timeout_seconds, 0.001),
            ("max_attempts", max_attempts, 1),
            ("backoff_seconds", backoff_seconds, 0),
            ("max_concurrent", max_concurrent, 1),
        ):
            if not least <= value < float("inf"):
                raise ValueError(f"{name}={value}: give a finite number of at least {least}.")
        self.timeout_seconds = timeout_seconds
        self.max_attempts = max_attempts
        self.backoff_seconds = backoff_seconds
        self._permits = asyncio.Semaphore(max_concurrent)
        # A loop of its own: the caller may be an async actor, whose thread has one running already.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def call_all(
        self, call: Callable[[Item], Awaitable[Result]], items: Sequence[Item]
    ) -> list[Result | EndpointUnavailableError]:
        """`call` of every item, in order, or why there is no result. Other errors of `call` are raised."""

        async def gather() -> list[Result | EndpointUnavailableError]:
            return await asyncio.gather(*(self._call(call, item) for item in items))

        return asyncio.run_coroutine_threadsafe(gather(), self._loop).result()

    async def _call(
        self, call: Callable[[Item], Awaitable[Result]], item: Item
    ) -> Result | EndpointUnavailableError:
        async with self._permits:
            reason = ""
            for attempt in range(self.max_attempts):
                try:
                    return await asyncio.wait_for(call(item), self.timeout_seconds)
                except EndpointUnavailableError as error:
                    return error
                except PassingError as error:
                    reason, retry_after = str(error), error.retry_after
                except TimeoutError:
                    reason, retry_after = f"no answer in {self.timeout_seconds} s", 0.0
                if attempt + 1 < self.max_attempts:
                    await asyncio.sleep(self._wait(attempt, retry_after))
        return EndpointUnavailableError(f"gave up after {self.max_attempts} attempts: {reason}")

    def _wait(self, attempt: int, retry_after: float) -> float:
        """Seconds; with jitter, so that a group's calls don't come back all at once."""
        backoff = self.backoff_seconds * 2**attempt * random.uniform(0.5, 1.0)
        return min(max(backoff, retry_after), max(backoff, self.timeout_seconds))


def status_error(status: int, headers: Mapping[str, str], text: str) -> Exception:
    """What a status other than success means, as the error to raise. `text` is what the service said."""
    reason = f"status {status}: {text[:300]}"
    if status in _PASSING_STATUS or status >= 500:
        return PassingError(reason, _retry_after(headers))
    if status in _REFUSED_STATUS:
        return EndpointUnavailableError(reason)
    return RuntimeError(f"{reason}; check the address, the key and the options of this endpoint")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of a Retry-After header; 0 without one, or for the form that gives a date."""
    text = headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,6}(?:\.\d+)?", text) else 0.0


def check_url(field: str, url: str) -> None:
    """Refuses what is no address, before every call fails on it. Raises ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{field}={url!r}: give an address that starts with http:// or https://.")


def read_key(variable: str) -> str:
    """The key in an environment variable; "" if `variable` is "". Raises ValueError if it isn't set."""
    if not variable:
        return ""
    # A key written here by mistake is no such name, and must not be printed.
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
        raise ValueError(
            "api_key_env: not the name of an environment variable (what was given isn't shown, it may be a "
            "key); give a name in capital letters, as OPENAI_API_KEY."
        )
    if not os.environ.get(variable):
        raise ValueError(
            f"api_key_env={variable!r}: not set in the environment of this process; set it on every node, "
            "or give '' for a service that wants no key."
        )
    return os.environ[variable]


def without_key(text: str, key: str) -> str:
    """`text` fit to be printed: a service may send the key back."""
    return text.replace(key, "***") if key else text
