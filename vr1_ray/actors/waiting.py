"""Waiting for actors: every wait has a limit, and every failure names the actor and the phase.

There is no bare `ray.get` elsewhere in this package: a lost actor must end in an error, never in a hang. Nor is there
a bare `ray.put`: an object store that is full for a moment must not end a run.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import (
    GetTimeoutError,
    ObjectStoreFullError,
    OutOfDiskError,
    RayError,
    RayTaskError,
)

from vr1_ray.actors.losses import how_lost


class ActorError(RuntimeError):
    """An actor died, or its work raised. The message names actor, phase and cause."""


class ActorLostError(ActorError):
    """The process of an actor is gone. The message names actor and phase; `how` says what became of it."""

    def __init__(self, text: str, *, how: str = "died") -> None:
        super().__init__(text)
        self.how = how


class ActorTimeoutError(ActorError):
    """An actor did not answer in time. The message names actor, phase and limit."""


def wait_for(
    pending: Mapping[str, Any],
    *,
    phase: str,
    timeout_seconds: float,
    apart_seconds: float = float("inf"),
    arrived: Callable[[str, float], None] = lambda name, seconds: None,
) -> list[Any]:
    """The results of `pending` (actor name -> object ref), in its order.

    All must come within `timeout_seconds`, and the others within `apart_seconds` of the first. `arrived` is told of
    each, with the seconds it took.
    Raises ActorTimeoutError or ActorError; the first failure found is reported, cause first.
    """
    began = time.monotonic()
    deadline = began + timeout_seconds
    results: dict[str, Any] = {}
    waiting = {ref: name for name, ref in pending.items()}
    while waiting:
        # One by one as they end, so that a failure shows even while another rank hangs waiting for it.
        ready, _ = ray.wait(
            list(waiting), num_returns=1, timeout=max(0.0, deadline - time.monotonic())
        )
        if not ready:
            names = ", ".join(waiting.values())
            seconds = time.monotonic() - began
            raise ActorTimeoutError(f"{phase}: no answer from {names} within {seconds:.0f} s")
        if not results:
            deadline = min(deadline, time.monotonic() + apart_seconds)
        name = waiting.pop(ready[0])
        results[name] = take(ready[0], actor=name, phase=phase)
        arrived(name, time.monotonic() - began)
    return [results[name] for name in pending]


def take(ref: Any, *, actor: str, phase: str, timeout_seconds: float = 60.0) -> Any:
    """The value of a ref that is ready (the time limit is for fetching it).

    Raises ActorError with the cause first: what the user reads is the error, not Ray's wrapping of it.
    """
    try:
        return ray.get(ref, timeout=timeout_seconds)
    except RayTaskError as error:
        cause = error.cause if error.cause is not None else error
        raise ActorError(
            f"{cause}\n(raised in {actor}, while {phase}: {type(cause).__name__})"
        ) from error
    except GetTimeoutError as error:
        raise ActorTimeoutError(
            f"{phase}: the result of {actor} could not be fetched in {timeout_seconds:.0f} s"
        ) from error
    except RayError as error:
        if how := how_lost(error):
            raise ActorLostError(f"{actor} {how}, while {phase}: {error}", how=how) from error
        raise ActorError(f"{error}\n(of {actor}, while {phase}: {type(error).__name__})") from error


PUT_SECONDS = 120.0  # groups that end make room in the store
PUT_PAUSE = 0.5


def put(value: Any, *, what: str, seconds: float = PUT_SECONDS) -> Any:
    """A ref of `value` in the object store of this node; a store or a disk that is full is waited for.

    Raises ActorError, naming `what` was to be stored and the cure, if there is no room within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ray.put(value)
        except (ObjectStoreFullError, OutOfDiskError) as error:
            if time.monotonic() >= deadline:
                raise ActorError(
                    f"no room for {what} in the object store of {ray.util.get_node_ip_address()} within "
                    f"{seconds:.0f} s ({type(error).__name__}); free disk below Ray's folder (its --temp-dir), where "
                    f"the store spills to, or give Ray a larger store (--object-store-memory): {error}"
                ) from error
            time.sleep(PUT_PAUSE)
