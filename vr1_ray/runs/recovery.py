"""The loss of a trainer rank inside a run: new ranks, back to the last checkpoint, and the lost steps again.

All that a step changed goes back with the trainer: curriculum, data position, engines, the rows of
`metrics.jsonl`, saved rollouts. So a step is trained once in the lineage of the final weights, and on CPU in
fp32 these are bit for bit those of an undisturbed run.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from vr1_ray.actors.training.trainer_group import TrainerLostError
from vr1_ray.actors.waiting import ActorError
from vr1_ray.runs.stopping import StopSignal

Result = TypeVar("Result")


class TooManyRestartsError(ActorError):
    """The trainer was lost more often than `trainer.max_restarts` allows."""


class Recovery:
    """Does a run's work to its end over losses of the trainer, at most `max_restarts` times.

    Example:
        recovery = Recovery(max_restarts=3, go_back=run.go_back, note=tracker.note, stop=stop)
        recovery.until_done(lambda: train(run))   # go_back() returns (whole steps done so far, step gone back to)
        recovery.result()                         # {"trainer_restarts": 1, "steps_redone": 4}
    """

    def __init__(
        self,
        *,
        max_restarts: int,
        go_back: Callable[[], tuple[int, int]],
        note: Callable[[str], None],
        stop: StopSignal,
    ) -> None:
        self.max_restarts, self.go_back, self.note, self.stop = max_restarts, go_back, note, stop
        self.num_restarts = 0
        self.steps_redone = 0

    def until_done(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, begun again after each loss.

        Raises TooManyRestartsError with the last loss, Stopped if a SIGTERM has come: what is lost is redone by
        the resumed run then.
        """
        is_lost = False
        while True:
            try:
                if is_lost:
                    self._go_back()
                return work()
            except TrainerLostError as error:
                self._count(error)
                is_lost = True

    def result(self) -> dict[str, Any]:
        """What it cost, for the result of the run."""
        return {"trainer_restarts": self.num_restarts, "steps_redone": self.steps_redone}

    def _count(self, error: TrainerLostError) -> None:
        self.stop.check()
        if self.num_restarts >= self.max_restarts:
            raise TooManyRestartsError(
                f"{error}; the trainer was restarted {self.num_restarts} times, and trainer.max_restarts is "
                f"{self.max_restarts}. See trainer_*.log in the logs; the same command goes on from the last checkpoint"
            ) from error
        self.num_restarts += 1
        self.note(
            f"LOST: {error}; all trainer ranks are replaced ({self.num_restarts} of at most {self.max_restarts} times)"
        )

    def _go_back(self) -> None:
        done, step = self.go_back()
        self.steps_redone += done - step
        self.note(
            f"the trainer is there again, after step {step}; {done - step} whole steps are redone"
        )
