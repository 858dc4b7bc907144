"""Evaluation during RL: when it is due, its figures in the step's row of metrics, and whether it is the best so far.

What is evaluated, and how, is not here but in `held_out.py`; what becomes of the best is in `saving.py`.
"""

import time
from collections.abc import Callable

from vr1_ray.config import RunConfig
from vr1_ray.endpoints.endpoint import EndpointUnavailableError
from vr1_ray.loops.held_out import evaluation_metrics_of, step_label
from vr1_ray.runs.figures import HELD_OUT_FIGURES, shown
from vr1_ray.runs.saving import Saver
from vr1_ray.runs.stopping import Stopped, StopSignal
from vr1_ray.tracking import Tracker


class RlEvaluation:
    """Evaluates the policy of a run every `eval.every_steps` steps, and at its start and end.

    `evaluate(label)` does it and returns the figures by the names of `eval.best_by`.

    Example:
        evaluation = RlEvaluation(config, saver, tracker, stop, total_steps=44, evaluate=run.evaluate)
        if evaluation.is_due(step) and evaluation.is_best(step):
            saver.save(step, state)
    """

    def __init__(
        self,
        config: RunConfig,
        saver: Saver,
        tracker: Tracker,
        stop: StopSignal,
        *,
        total_steps: int,
        evaluate: Callable[[str], dict[str, float]],
    ) -> None:
        self.config, self.saver, self.tracker, self.stop = config, saver, tracker, stop
        self.total_steps, self.evaluate = total_steps, evaluate

    def at_start(self) -> None:
        """Evaluate the policy that the run begins with, if `eval.at_start` asks for it."""
        if self.config.eval.at_start:
            self._figures_or_none(0, self.config.eval.start_label)

    def at_end(self) -> None:
        """Evaluate the trained policy, if `eval.at_end` asks for it."""
        if self.config.eval.at_end:
            figures = self._figures_or_none(self.total_steps, self.config.eval.label)
            self.saver.is_best(self.total_steps, figures or {})

    def is_due(self, step: int) -> bool:
        """Whether the policy is evaluated after this step; after the last one `at_end` may do it."""
        every = self.config.eval.every_steps
        is_left = step == self.total_steps and self.config.eval.at_end
        return bool(every) and step % every == 0 and not is_left

    def is_best(self, step: int) -> bool:
        """Evaluate, and whether it is the best so far. A SIGTERM leaves it to the resumed run."""
        try:
            with self.stop.interruptible():
                return self._is_best(step)
        except Stopped:
            return False

    def catch_up(self, step: int) -> None:
        """Evaluate a restored step if that was due and a SIGTERM or a loss came before it was done."""
        if not step or not self.is_due(step):
            return
        made = evaluation_metrics_of(self.config.folder, step_label(step))
        if made is not None and self.config.eval.best_by in made:
            self.tracker.add(step, logged(made))
            self.saver.is_best(step, made)
        else:
            self._is_best(step)

    def _is_best(self, step: int) -> bool:
        try:
            figures = self._figures_or_none(step, step_label(step))
            return figures is not None and self.saver.is_best(step, figures)
        except EndpointUnavailableError as error:
            # Training needs no judge: one that is down for a while costs this evaluation, not the run.
            self.tracker.note(f"ALARM step {step}: its evaluation has no figures: {error}")
            return False

    def _figures_or_none(self, step: int, label: str) -> dict[str, float] | None:
        """The figures; None, which is told, if they could not be written: a full disk costs an evaluation, not the run."""
        try:
            return self._figures(step, label)
        except OSError as error:
            self.tracker.note(f"ALARM step {step}: its evaluation could not be written: {error}")
            return None

    def _figures(self, step: int, label: str) -> dict[str, float]:
        began = time.monotonic()
        figures = self.evaluate(label)
        best_by = self.config.eval.best_by
        self.tracker.note(f"evaluation of {label}: {best_by} {shown(figures.get(best_by))}")
        self.tracker.add(step, logged(figures) | {"time/evaluation": time.monotonic() - began})
        return figures


def logged(figures: dict[str, float]) -> dict[str, float]:
    """The figures of an evaluation by their names in METRICS.md.

    Example:
        logged({"accuracy": 0.5, "mathvista/GPS": 0.25})
        # {"evaluation/accuracy": 0.5, "benchmark/mathvista/GPS": 0.25}
    """
    return {
        f"{'evaluation' if name in HELD_OUT_FIGURES else 'benchmark'}/{name}": value
        for name, value in figures.items()
    }
