"""When a run saves a checkpoint, how long that takes, and what happens if it fails.

A failed save costs the run one save, not its life: it is told, and the next one is tried. Only the last
save of a run must succeed. How a checkpoint is laid out and read is in `checkpoints.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vr1_ray.actors.training.trainer_group import TrainerLostError
from vr1_ray.actors.waiting import ActorError
from vr1_ray.config import RunConfig
from vr1_ray.runs.checkpoints import Checkpoint, Checkpoints, find_fault
from vr1_ray.runs.figures import is_measured


class SaveError(RuntimeError):
    """The last checkpoint of a run could not be saved."""


class Saver:
    """Saves a run: on time, measured, and with the best checkpoint kept.

    Example:
        saver = Saver(config, total_steps=200, write=write, note=tracker.note)
        if saver.is_due(step):
            saver.save(step, {"sampler": sampler.state_dict()})
        saver.result()    # {"checkpoint": ".../step_000200", "best": {"step": 150, "accuracy": 0.75, ...}}
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        total_steps: int,
        write: Callable[[Path], None],
        note: Callable[[str], None],
    ) -> None:
        self.config, self.total_steps, self.write, self.note = config, total_steps, write, note
        self.checkpoints = Checkpoints(config.folder)
        self.last_step: int | None = None
        self.best: dict[str, Any] | None = None
        """`step` and `eval.best_by` of the best evaluation whose checkpoint is there."""
        self._candidate: dict[str, Any] | None = None  # becomes the best once it is saved
        self._seconds: float | None = None

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint, or back to one; say what was passed over for it. Step 0 is the start."""
        for sentence in found.skipped:
            self.note(sentence)
        self.note(f"going on from {found.folder}" if found.step else "going on from the start")
        self._candidate = None
        self.last_step, self.best = found.step or None, found.state["best"]
        if self.best and self.best["step"] != found.step:
            fault = find_fault(self.checkpoints.path(self.best["step"]))
            if fault:
                self.note(f"the best checkpoint, of step {self.best['step']}, is lost: {fault}")
                self.best = None

    def is_due(self, step: int) -> bool:
        """Whether the schedule asks for a checkpoint of this step; of the last step it always does."""
        every = self.config.checkpoint.every_steps
        return step == self.total_steps or bool(every and step % every == 0)

    def is_best(self, step: int, metrics: dict[str, float]) -> bool:
        """Whether this step's evaluation is the best so far and to be saved; of equal ones the earliest is.

        One without the figure, or where it is no number, never is; any number is better than such a one.
        """
        best_by = self.config.eval.best_by
        value = metrics.get(best_by)
        if not self.config.checkpoint.keep_best or not is_measured(value):
            return False
        before = self.best.get(best_by) if self.best else None
        if is_measured(before) and value <= before:
            return False
        self._candidate = {"step": step, best_by: value}
        if step == self.last_step:  # evaluated after its checkpoint was saved
            self.best = self._candidate
            self._retain()
        return True

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save a checkpoint. A failure is a note; at the last step it is a SaveError.

        Raises TrainerLostError if a rank dies meanwhile: that is no failure to write.
        """
        began = time.monotonic()
        is_candidate = self._candidate is not None and self._candidate["step"] == step
        best = self._candidate if is_candidate else self.best
        own = {"best": best, "total_steps": self.total_steps}
        try:
            self.checkpoints.save(step, write=self.write, state=state | own)
        except TrainerLostError:
            raise
        except (OSError, ActorError) as error:
            self._report_failure(step, error)
            return
        self.last_step, self.best = step, best
        self._seconds = time.monotonic() - began
        self._retain()
        grace = self.config.checkpoint.grace_seconds
        if self._seconds > grace:
            self.note(
                f"the checkpoint of step {step} took {self._seconds:.1f} s, more than checkpoint.grace_seconds "
                f"{grace:g}: a SIGTERM would not leave the time for one; have the scheduler wait longer"
            )

    def metrics(self) -> dict[str, float]:
        """`time/checkpoint` of a save since the last call, if there was one."""
        seconds, self._seconds = self._seconds, None
        return {} if seconds is None else {"time/checkpoint": seconds}

    def result(self) -> dict[str, Any]:
        """The last and the best checkpoint, for the result of the run."""
        result: dict[str, Any] = {}
        if self.last_step is not None:
            result["checkpoint"] = str(self.checkpoints.path(self.last_step))
        if self.best is not None:
            result["best"] = self.best | {
                "checkpoint": str(self.checkpoints.path(self.best["step"]))
            }
        return result

    def _retain(self) -> None:
        assert self.last_step is not None
        try:
            self.checkpoints.retain(
                newest=self.last_step,
                keep_last=self.config.checkpoint.keep_last,
                best=self.best["step"] if self.best else None,
            )
        except OSError as error:
            self.note(f"an old checkpoint could not be removed: {error}")

    def _report_failure(self, step: int, error: Exception) -> None:
        before = "none" if self.last_step is None else f"that of step {self.last_step}"
        sentence = (
            f"the checkpoint of step {step} could not be saved: {error}; the newest is {before}"
        )
        if step == self.total_steps:
            raise SaveError(
                f"{sentence}. It was the run's last: make room in {self.checkpoints.folder} and start the run again"
            ) from error
        self.note(sentence)
