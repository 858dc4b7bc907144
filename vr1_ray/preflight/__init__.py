"""What is verified before anything is started: `vr1 check` and the first seconds of every run."""

from vr1_ray.preflight.inputs import (
    check_cold_started,
    check_inputs,
    read_demonstrations,
    read_eval_prompts,
    read_prompts,
)
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.plan import plan_rows
from vr1_ray.preflight.quick import check_quickly
from vr1_ray.preflight.table import CheckRow, is_sound, render

__all__ = [
    "CheckRow",
    "Machine",
    "check_cold_started",
    "check_inputs",
    "check_quickly",
    "is_sound",
    "plan_rows",
    "read_demonstrations",
    "read_eval_prompts",
    "read_prompts",
    "render",
]
