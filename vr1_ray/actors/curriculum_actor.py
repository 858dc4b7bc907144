"""The curriculum actor (the PTST controller): decides the stage of each step and watches how it goes.

A named actor, so that other processes of the run can ask it. Each call brings the curriculum's state and
takes the new one back: the driver puts it into every checkpoint, and an actor that was lost and started again
answers the same call as the lost one would have.
"""

from collections.abc import Callable
from typing import Any

import ray

from vr1_ray.actors.process import end_with_raylet, namespace
from vr1_ray.actors.restarting import RestartWatch, restarts, this_process
from vr1_ray.config import RunConfig
from vr1_ray.types import Stage

CURRICULUM_ACTOR_NAME = "curriculum"
State = dict[str, Any]


class CurriculumActor:
    """A pure curriculum behind Ray."""

    def __init__(self, config: RunConfig) -> None:
        from vr1_ray.curriculum import make_curriculum

        end_with_raylet()
        self.curriculum = make_curriculum(config.curriculum)

    def call(self, state: State | None, method: str, *arguments: Any) -> tuple[str, Any]:
        """What a method of the curriculum returns, its alarms, how it stands and its new state; behind them the process.

        `state` is the curriculum's before the call; None before the first one.
        """
        if state is not None:
            self.curriculum.load_state_dict(state)
        value = getattr(self.curriculum, method)(*arguments)
        stands = (self.curriculum.early_ends(), self.curriculum.is_finished())
        return this_process(), (
            value,
            self.curriculum.alarms(),
            stands,
            self.curriculum.state_dict(),
        )


class CurriculumHandle:
    """The curriculum actor, with time limits, and its state."""

    def __init__(self, config: RunConfig, note: Callable[[str], None]) -> None:
        self.actor: Any = (
            ray.remote(CurriculumActor)
            .options(
                name=CURRICULUM_ACTOR_NAME,
                namespace=namespace(config),
                num_cpus=0,
                **restarts(config.curriculum.max_restarts),
            )
            .remote(config)
        )
        self.timeout_seconds = config.cluster.start_timeout_seconds
        self.watch = RestartWatch(note)
        self.alarms: list[str] = []
        self.early_ends: list[str] = []  # stages that were left early, with the cause
        self.is_over = False  # no step is left to begin
        self.state: State | None = None

    def _call(self, method: str, *arguments: Any) -> Any:
        calls = {"curriculum": (self.actor, "call", (self.state, method, *arguments))}
        phase = f"{method.replace('_', ' ')} of the curriculum"
        [answer] = self.watch.call(calls, phase=phase, timeout_seconds=self.timeout_seconds)
        value, self.alarms, (self.early_ends, self.is_over), self.state = answer
        return value

    def is_finished(self) -> bool:
        return self._call("is_finished")

    def begin_step(self) -> tuple[int, Stage]:
        return self._call("begin_step")

    def observe(self, step: int, metrics: dict[str, float]) -> list[str]:
        """Report a step; returns alarms to show."""
        self._call("observe", step, metrics)
        return self.alarms

    def summary(self) -> list[dict[str, Any]]:
        """What is known of each stage so far: steps, mean length, truncation, informative groups, accuracy."""
        return self._call("summary")

    def load_state_dict(self, state: State) -> None:
        """Go on from a checkpoint, or back to one."""
        self.state = state
