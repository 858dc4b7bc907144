"""A stage ends as soon as a step is accurate enough: PTST with a rule of when to move on.

python examples/custom_curriculum/until_mastered.py      # its stages on made-up accuracies; no engine, no GPU
"""

from vr1_ray.config import CurriculumConfig, StageConfig
from vr1_ray.curriculum import Ptst, make_curriculum


class UntilMastered(Ptst):
    """Leaves a stage after the first step whose accuracy is at least `accuracy`; the last one ends the run."""

    def __init__(self, config: CurriculumConfig, *, accuracy: float = 0.95) -> None:
        super().__init__(config)
        self.accuracy = accuracy

    def observe(self, step: int, metrics: dict[str, float]) -> None:
        super().observe(step, metrics)
        if metrics.get("accuracy", 0.0) >= self.accuracy:
            reason = f"accuracy {metrics['accuracy']} at step {step}"
            self.leave_stage(self.stage_of(step).number, reason=reason)


def main() -> None:
    """Prints the stage of each step."""
    config = CurriculumConfig(
        name=f"{__file__}:UntilMastered",
        stages=[
            StageConfig(max_response_tokens=64, group_size=16, steps=4),
            StageConfig(max_response_tokens=128, group_size=8, steps=3),
        ],
        options={"accuracy": 0.9},
    )
    curriculum = make_curriculum(config)
    print("step  stage  max_response_tokens  group_size  accuracy")
    for accuracy in (0.5, 0.92, 0.6, 0.8, 0.85):
        if curriculum.is_finished():
            break
        step, stage = curriculum.begin_step()
        print(
            f"{step:<5} {stage.number:<6} {stage.max_response_tokens:<20} {stage.group_size:<11} {accuracy}"
        )
        curriculum.observe(step, {"accuracy": accuracy})


if __name__ == "__main__":
    main()
