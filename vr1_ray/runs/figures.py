"""Figures that a run leaves: names of those of an evaluation and of a step, and how one that nothing measured is shown."""

import math
from typing import TypeGuard

# "accuracy" is the mean over benchmarks where an evaluation has only these.
HELD_OUT_FIGURES = (
    "accuracy",
    "hard_reward",
    "format_rate",
    "mean_response_tokens",
    "truncation_rate",
)
# Of a step: a metric, what it is called, and its format; what a run's rows lack is left out.
STEP_FIGURES = (
    ("loss", "loss", "{:.4f}"),
    ("reward/mean", "reward", "{:.3f}"),
    ("accuracy", "accuracy", "{:.3f}"),
    ("response_tokens/mean", "length", "{:.1f} tokens"),
    ("truncation_rate", "cut", "{:.1%}"),
    ("blindness/needs_picture_rate", "need their picture", "{:.0%}"),
    ("time/step", "step time", "{:.1f} s"),
    ("engines/healthy", "engines", "{:.0f} serve"),
)
NOT_MEASURED = "-"


def is_measured(value: object) -> TypeGuard[float]:
    """Whether a figure is a number: None and NaN are what nothing measured."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def shown(value: object, form: str = "{:.3f}") -> str:
    """A figure as screens and cards show it, "-" where nothing measured it.

    Example: shown(0.5) is "0.500", shown(None) and shown(float("nan")) are "-"
    """
    return form.format(value) if is_measured(value) else NOT_MEASURED
