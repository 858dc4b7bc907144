"""What is verified before anything is started: `vr1 check` and the first seconds of every run."""

from vr1_ray.preflight.inputs import (
    check_cold_started,
    check_inputs,
    read_demonstrations,
    read_eval_prompts,
    read_prompts,
)

__all__ = [
    "check_cold_started",
    "check_inputs",
    "read_demonstrations",
    "read_eval_prompts",
    "read_prompts",
]
