"""The curriculum actor (the PTST controller): decides the stage of each step and watches how it goes.

A named actor, so that other processes of the run can ask it. Each call that changes it hands its new
state to the driver, which puts it into every checkpoint and can restore a restarted controller.
"""

from typing import Any

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
