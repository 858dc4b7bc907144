"""Actors that hold nothing which the driver does not: when one dies, Ray starts it again and repeats the call.

That is true of the reference actors and of the curriculum actor: each call brings all that the answer depends
on. A second answer is the same as the first, so the step goes on as if nothing had been.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray

from vr1_ray.actors.room import RoomWatch, life_of
from vr1_ray.actors.waiting import (
    ActorError,
    ActorTimeoutError,
    DeviceFaultError,
    take,
    wait_for,
)

ROOM_SECONDS = 1800.0  # that an actor whose node is gone may wait for another
END_SECONDS = 60.0  # for Ray to note that a process has ended


def restarts(max_restarts: int) -> dict[str, int]:
    """The options of `ray.remote` for such an actor."""
    return {"max_restarts": max_restarts, "max_task_retries": max_restarts}


class RestartWatch:
    """Calls such actors, and tells when one was started again. Each answer is (process, value).

    Example:
        watch = RestartWatch(note=print)
        [answer] = watch.call({"reference 0": (actor, "compute_logprobs", arguments)}, phase="...", timeout_seconds=60)
    """

    def __init__(self, note: Callable[[str], None], *, room_seconds: float = ROOM_SECONDS) -> None:
        self.note, self.room_seconds = note, room_seconds
        self.processes: dict[str, str] = {}  # of each actor, as it answered last
        self.num_restarts = 0

    def call(
        self, calls: Mapping[str, tuple[Any, str, tuple]], *, phase: str, timeout_seconds: float
    ) -> list[Any]:
        """The values of `calls` (name -> actor, method, arguments), in order.

        An actor that does not answer in time, or whose GPU failed, is ended, and asked once more. Raises ActorError if an
        actor is lost for good, is late a second time, or finds no room within `room_seconds`.
        """
        pending = {
            name: getattr(actor, method).remote(*arguments)
            for name, (actor, method, arguments) in calls.items()
        }
        actors = {name: actor for name, (actor, _, _) in calls.items()}
        longest = min(self.room_seconds, timeout_seconds)  # so that no room is told as that
        look = RoomWatch(actors, note=self.note, limit_seconds=longest)
        limit: dict[str, Any] = {"phase": phase, "timeout_seconds": timeout_seconds, "look": look}
        try:
            answers = wait_for(pending, **limit)
        except (ActorTimeoutError, DeviceFaultError) as error:
            self.note(f"{str(error).splitlines()[0]}; it is started again")
            for name, (actor, method, arguments) in calls.items():
                if not _is_sound(pending[name], name, is_late=isinstance(error, ActorTimeoutError)):
                    _end(actor)
                    pending[name] = getattr(actor, method).remote(*arguments)
            answers = wait_for(pending, **limit)
        for name, (process, _) in zip(calls, answers, strict=True):
            if self.processes.setdefault(name, process) != process:
                self.processes[name] = process
                self.num_restarts += 1
                self.note(f"{name} was lost and started again, while {phase}; nothing else is")
        return [value for _, value in answers]


def _end(actor: Any) -> None:
    """End an actor's process, and wait for Ray to take note: a call before that might still go there."""
    before, deadline = life_of(actor), time.monotonic() + END_SECONDS
    ray.kill(actor, no_restart=False)
    while life_of(actor) == before and time.monotonic() < deadline:
        time.sleep(0.1)


def _is_sound(ref: Any, name: str, *, is_late: bool) -> bool:
    """Whether a call may stay as it is: it was answered, or others alone were to blame."""
    if not ray.wait([ref], timeout=0, fetch_local=False)[0]:
        return not is_late
    try:
        take(ref, actor=name, phase="")
    except DeviceFaultError:
        return False
    except ActorError:
        pass  # told by the next wait
    return True


def this_process() -> str:
    """What tells this actor process from the one before it."""
    return f"{ray.get_runtime_context().get_worker_id()}/{os.getpid()}"
