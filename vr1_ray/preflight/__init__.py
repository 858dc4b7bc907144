"""What is verified before anything is started: `vr1 check` and the first seconds of every run.

A run's door to it is `read_inputs`; `vr1 check` makes a table of everything (`plan_rows` and its kin).
"""

from vr1_ray.preflight.inputs import RunInputs, read_inputs
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.plan import plan_rows
from vr1_ray.preflight.table import CheckRow, is_sound, render

__all__ = ["CheckRow", "Machine", "RunInputs", "is_sound", "plan_rows", "read_inputs", "render"]
