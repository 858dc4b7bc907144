"""Actors that hold nothing which the driver does not: when one dies, Ray starts it again and repeats the call.

That is true of the reference actors and of the curriculum actor: each call brings all that the answer depends
on. A second answer is the same as the first, so the step goes on as if nothing had been.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import ray

from vr1_ray.actors.waiting import ActorTimeoutError, wait_for


def restarts(max_restarts: int) -> dict[str, int]:
    """The options of `ray.remote` for such an actor."""
    return {"max_restarts": max_restarts, "max_task_retries": max_restarts}


class RestartWatch:
    """Calls such actors, and tells when one was started again. Each answer is (process, value).

    Example:
        watch = RestartWatch(note=print)
        [answer] = watch.call({"reference 0": (actor, "compute_logprobs", arguments)}, phase="...", timeout_seconds=60)
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note
        self.processes: dict[str, str] = {}  # of each actor, as it answered last
        self.num_restarts = 0

    def call(
        self, calls: Mapping[str, tuple[Any, str, tuple]], *, phase: str, timeout_seconds: float
    ) -> list[Any]:
        """The values of `calls` (name -> actor, method, arguments), in order.

        An actor that does not answer in time is ended, and asked once more. Raises ActorError if an actor is
        lost for good, or is late a second time.
        """
        pending = {
            name: getattr(actor, method).remote(*arguments)
            for name, (actor, method, arguments) in calls.items()
        }
        try:
            answers = wait_for(pending, phase=phase, timeout_seconds=timeout_seconds)
        except ActorTimeoutError as error:
            self.note(f"{error}; it is started again")
            for name, (actor, method, arguments) in calls.items():
                if not ray.wait([pending[name]], timeout=0, fetch_local=False)[0]:
                    ray.kill(actor, no_restart=False)
                    pending[name] = getattr(actor, method).remote(*arguments)
            answers = wait_for(pending, phase=phase, timeout_seconds=timeout_seconds)
        for name, (process, _) in zip(calls, answers, strict=True):
            if self.processes.setdefault(name, process) != process:
                self.processes[name] = process
                self.num_restarts += 1
                self.note(f"{name} was lost and started again, while {phase}; nothing else is")
        return [value for _, value in answers]


def this_process() -> str:
    """What tells this actor process from the one before it."""
    return f"{ray.get_runtime_context().get_worker_id()}/{os.getpid()}"
