"""Names of figures that a run leaves: those of an evaluation on held-out prompts, and those a screen or card shows."""

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
