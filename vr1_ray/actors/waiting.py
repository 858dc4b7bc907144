"""Waiting for actors: every wait has a limit, and every failure names the actor and the phase.

There is no bare `ray.get` elsewhere in this package: a lost actor must end in an error, never in a hang.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError, RayTaskError


class ActorError(RuntimeError):
    """An actor died, or its work raised. The message names actor, phase and cause."""


class ActorLostError(ActorError):
    """The process of an actor is gone. The message names actor and phase."""


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
    except (RayActorError, ObjectLostError) as error:  # the latter: its node is gone
        raise ActorLostError(f"{actor} died, while {phase}: {error}") from error
    except GetTimeoutError as error:
        raise ActorTimeoutError(
            f"{phase}: the result of {actor} could not be fetched in {timeout_seconds:.0f} s"
        ) from error
