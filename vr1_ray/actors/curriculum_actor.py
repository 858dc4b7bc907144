"""The curriculum actor (the PTST controller): decides the stage of each step and watches how it goes.

A named actor, so that other processes of the run can ask it. Each call that changes it hands its new
state to the driver, which puts it into every checkpoint and can restore a restarted controller.
"""

from typing import Any

from vr1_ray.actors.waiting import wait_for
from vr1_ray.config import RunConfig
from vr1_ray.types import Stage

CURRICULUM_ACTOR_NAME = "curriculum"


class CurriculumActor:
    """A pure curriculum behind Ray."""

    def __init__(self, config: RunConfig) -> None:
        from vr1_ray.curriculum import make_curriculum

        self.curriculum = make_curriculum(config.curriculum)

    def begin_step(self) -> tuple[int, Stage, dict[str, Any]]:
        """The next step's number and stage, and the curriculum's new state."""
        step, stage = self.curriculum.begin_step()
        return step, stage, self.curriculum.state_dict()

    def observe(self, step: int, metrics: dict[str, float]) -> tuple[list[str], dict[str, Any]]:
        """Take a step's metrics; return alarms to show the user, and the new state."""
        self.curriculum.observe(step, metrics)
        return self.curriculum.alarms(), self.curriculum.state_dict()

    def is_finished(self) -> bool:
        return self.curriculum.is_finished()

    def summary(self) -> list[dict[str, Any]]:
        """What is known of each stage so far: steps, mean length, truncation, informative groups, accuracy."""
        return self.curriculum.summary()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state)


class CurriculumHandle:
    """The curriculum actor, with time limits, remembering its last state for checkpoints."""

    def __init__(self, actor: Any, *, timeout_seconds: float) -> None:
        self.actor = actor
        self.timeout_seconds = timeout_seconds
        self.state: dict[str, Any] = {}

    def _call(self, method: str, *arguments: Any) -> Any:
        ref = getattr(self.actor, method).remote(*arguments)
        return wait_for({"curriculum": ref}, phase=method, timeout_seconds=self.timeout_seconds)[0]

    def is_finished(self) -> bool:
        return self._call("is_finished")

    def begin_step(self) -> tuple[int, Stage]:
        step, stage, self.state = self._call("begin_step")
        return step, stage

    def observe(self, step: int, metrics: dict[str, float]) -> list[str]:
        """Report a step; returns alarms to show."""
        alarms, self.state = self._call("observe", step, metrics)
        return alarms

    def summary(self) -> list[dict[str, Any]]:
        return self._call("summary")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._call("load_state_dict", state)
        self.state = state
