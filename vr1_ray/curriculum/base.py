"""What decides the stage of each step: the `Curriculum` interface. A pure state machine on plain numbers.

A stage is a response budget, a group size and a number of steps. It is decided when a step's prompts are
submitted (`begin_step`) and never changed after; what comes of the step is told later (`observe`), which
may lag by some steps when generation and training overlap. It knows no Ray and no engine: a new stage is
only other arguments of the next calls.

To add one, write one file and a row in `vr1_ray/curriculum/__init__.py`. Most need only another rule of
when to move on, over the bookkeeping of `Ptst`:

    class UntilMastered(Ptst):
        "Leaves a stage as soon as a step reaches 95 % accuracy, where a reward measures it."

        def observe(self, step, metrics):
            super().observe(step, metrics)
            if metrics.get("accuracy", 0.0) >= 0.95:
                self.leave_stage(self.stage_of(step).number, reason=f"95 % accuracy at step {step}")

`curriculum.options` of the YAML come as keyword arguments, `__init__(self, config, *, share=0.95)`; others are refused.
"""

from abc import ABC, abstractmethod
from typing import Any

from vr1_ray.config import CurriculumConfig
from vr1_ray.types import Stage


class Curriculum(ABC):
    """Begin a step, learn what came of it, until finished.

    Example:
        while not curriculum.is_finished():
            step, stage = curriculum.begin_step()
            curriculum.observe(step, run(step, stage))
    """

    def __init__(self, config: CurriculumConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """All stages this curriculum may use, numbered from 1."""

    @property
    def longest_stage(self) -> Stage:
        """The stage with the largest response budget: engines are built for it."""
        return max(self.stages, key=lambda stage: stage.max_response_tokens)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run; an upper bound if stages may end early."""
        return sum(stage.steps for stage in self.stages)

    @abstractmethod
    def is_finished(self) -> bool:
        """Whether no step is left to begin."""

    @abstractmethod
    def begin_step(self) -> tuple[int, Stage]:
        """The next step, counted from 1, and its stage. Raises ValueError if finished."""

    @abstractmethod
    def stage_of(self, step: int) -> Stage:
        """The stage that a begun step got. Raises ValueError for a step not begun."""

    @abstractmethod
    def observe(self, step: int, metrics: dict[str, float]) -> None:
        """Learn the metrics of a begun step; in any order, each step once."""

    @abstractmethod
    def alarms(self) -> list[str]:
        """What the last observation newly shows to be wrong, each with its cure."""

    def early_ends(self) -> list[str]:
        """Stages that were left before their number of steps, a sentence each with the cause: announced, and on the card."""
        return []

    @abstractmethod
    def summary(self) -> list[dict[str, Any]]:
        """One row per begun stage: what was seen in it, for `stages` of summary.json."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Where the curriculum stands, as numbers to log."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that changes, as plain JSON."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError for missing, unknown or impossible fields."""

    def is_stage_change(self, step: int) -> bool:
        """Whether a begun step is the first of a new stage (the very first step changes nothing)."""
        return step > 1 and self.stage_of(step) != self.stage_of(step - 1)
