"""Progressive thinking suppression training (Vision-R1, arXiv 2503.06749, section 3.5).

Stages with a growing response budget and a shrinking group size, each for a fixed number of steps: first
the policy learns to think briefly and right, then it may think longer.
"""

from typing import Any

from vr1_ray.config import CurriculumConfig
from vr1_ray.curriculum.base import Curriculum
from vr1_ray.curriculum.statistics import StageStatistics
from vr1_ray.types import Stage
from vr1_ray.wording import counted

STATE_FIELDS = ("alarmed", "history", "left", "observed", "stages", "statistics")


class Ptst(Curriculum):
    """The enabled stages of the config, one after the other.

    Example:
        Ptst(CurriculumConfig(stages=[StageConfig(max_response_tokens=4096, group_size=16, steps=100),
                                      StageConfig(max_response_tokens=8192, group_size=8, steps=100)]))
    """

    def __init__(self, config: CurriculumConfig) -> None:
        super().__init__(config)
        enabled = [stage for stage in config.stages if stage.enabled]
        if not enabled:
            raise ValueError(
                f"curriculum.stages={config.stages!r}: none is enabled; "
                "give at least one {max_response_tokens, group_size, steps}."
            )
        self._stages = tuple(
            Stage(
                number=number,
                max_response_tokens=stage.max_response_tokens,
                group_size=stage.group_size,
                steps=stage.steps,
            )
            for number, stage in enumerate(enabled, start=1)
        )
        self._history: list[int] = []  # stage number of each begun step
        self._left: dict[int, int] = {}  # stages ended early -> after how many steps
        self._reasons: dict[int, str] = {}  # of these, why
        self._observed: list[int] = []  # steps whose metrics came
        self._statistics = {stage.number: StageStatistics() for stage in self._stages}
        self._alarmed: list[str] = []  # alarms the last observation showed, new or not
        self._new_alarms: list[str] = []

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self._stages

    def is_finished(self) -> bool:
        return self._next_stage() is None

    def begin_step(self) -> tuple[int, Stage]:
        stage = self._next_stage()
        if stage is None:
            raise ValueError(
                f"curriculum: all {len(self._history)} steps are begun; ask is_finished() before begin_step()."
            )
        self._history.append(stage.number)
        return len(self._history), stage

    def stage_of(self, step: int) -> Stage:
        if not 1 <= step <= len(self._history):
            raise ValueError(
                f"curriculum: step {step} was not begun; {len(self._history)} steps were."
            )
        return self._stages[self._history[step - 1] - 1]

    def leave_stage(self, number: int, reason: str = "") -> None:
        """End a stage after the steps begun in it so far. One that is not begun yet is skipped.

        `reason` is told to the user, and stands on the card of the policy.
        """
        self._left.setdefault(number, self._history.count(number))
        self._reasons.setdefault(number, reason)

    def early_ends(self) -> list[str]:
        ends = []
        for number, steps in sorted(self._left.items()):
            planned = self._stages[number - 1].steps
            if steps < planned:
                reason = self._reasons.get(number) or "its curriculum gives no reason"
                ends.append(
                    f"stage {number} ended after {steps} of {counted(planned, 'step')}: {reason}"
                )
        return ends

    def observe(self, step: int, metrics: dict[str, float]) -> None:
        stage = self.stage_of(step)
        if step in self._observed:
            raise ValueError(f"curriculum: step {step} was observed before; each step counts once.")
        self._observed.append(step)
        self._statistics[stage.number].add(metrics)
        found = self._alarms_of(step, stage, metrics)
        self._new_alarms = [text for kind, text in found.items() if kind not in self._alarmed]
        self._alarmed = sorted(found)

    def alarms(self) -> list[str]:
        return list(self._new_alarms)

    def summary(self) -> list[dict[str, Any]]:
        return [
            {
                "stage": stage.number,
                "max_response_tokens": stage.max_response_tokens,
                "group_size": stage.group_size,
                "steps": stage.steps,
                **self._statistics[stage.number].summary(),
            }
            for stage in self._stages
            if stage.number in self._history
        ]

    def metrics(self) -> dict[str, float]:
        if not self._history:
            return {}
        stage = self.stage_of(len(self._history))
        return {
            "stage": stage.number,
            "max_response_tokens": stage.max_response_tokens,
            "group_size": stage.group_size,
            "stage_step": self._history.count(stage.number),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "alarmed": list(self._alarmed),
            "history": list(self._history),
            "left": [
                [number, steps, self._reasons.get(number, "")]
                for number, steps in self._left.items()
            ],
            "observed": list(self._observed),
            "stages": [
                [stage.max_response_tokens, stage.group_size] for stage in self._begun_stages()
            ],
            "statistics": [
                self._statistics[stage.number].state_dict() for stage in self._begun_stages()
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was begun and seen. Stages not begun yet, and numbers of steps, are the config's."""
        if set(state) != set(STATE_FIELDS):
            raise ValueError(
                f"curriculum state has fields {sorted(state)}, expected {list(STATE_FIELDS)}; "
                "resume from a checkpoint of this version."
            )
        saved = [tuple(stage) for stage in state["stages"]]
        ours = [(stage.max_response_tokens, stage.group_size) for stage in self._stages]
        if saved != ours[: len(saved)]:
            raise ValueError(
                f"curriculum.stages={ours} (max_response_tokens, group_size), but the checkpoint began {saved}; "
                "resume with the stages of the checkpoint, or start a run with another name."
            )
        self._alarmed, self._new_alarms = list(state["alarmed"]), []
        self._history, self._observed = list(state["history"]), list(state["observed"])
        self._left = {number: steps for number, steps, *_ in state["left"]}
        self._reasons = {number: why for number, _, *rest in state["left"] for why in rest}
        self._statistics = {stage.number: StageStatistics() for stage in self._stages}
        for number, seen in enumerate(state["statistics"], start=1):
            self._statistics[number] = StageStatistics.from_state(seen)

    def _begun_stages(self) -> tuple[Stage, ...]:
        return self._stages[: max(self._history, default=0)]

    def _next_stage(self) -> Stage | None:
        """The current stage if it has steps left, else the first later one that has."""
        current = self._history[-1] if self._history else 1
        for stage in self._stages[current - 1 :]:
            if self._history.count(stage.number) < self._left.get(stage.number, stage.steps):
                return stage
        return None

    def _alarms_of(self, step: int, stage: Stage, metrics: dict[str, float]) -> dict[str, str]:
        found = {}
        truncated = metrics.get("truncation_rate", 0.0)
        if truncated >= self.config.alarm_truncation_rate:
            found["truncation"] = (
                f"step {step}, stage {stage.number}: {truncated:.0%} of the responses are cut at "
                f"max_response_tokens={stage.max_response_tokens} and earn nothing; raise the stage's "
                "max_response_tokens, or cold-start with shorter demonstrations."
            )
        informative = metrics.get("informative_group_rate", 1.0)
        if informative <= self.config.alarm_informative_group_rate:
            found["informative"] = (
                f"step {step}, stage {stage.number}: {informative:.0%} of the groups have rewards that differ, "
                "so there is nothing to learn from; raise the stage's group_size or prompts_per_step, or take "
                "easier questions if all are wrong, harder ones if all are right."
            )
        return found
