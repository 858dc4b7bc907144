"""What a run that trains holds, cold start and RL alike: fleet, data position, metrics, checkpoints, the way back
after a loss, and how it closes. What a step does is the loop's business.
"""

import time
from pathlib import Path
from typing import Any, Self

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.data import Ahead, PromptSampler
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.clock import Clock
from vr1_ray.runs.lock import LockLostError, look
from vr1_ray.runs.policy_card import write_policy
from vr1_ray.runs.recovery import Recovery
from vr1_ray.runs.run_folder import write_result
from vr1_ray.runs.saving import Saver
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.tracking import Tracker


class TrainingRun:
    """Holds what a loop needs between its steps; `start` is what a checkpoint of step 0 would hold.

    Example:
        with TrainingRun(config, fleet, sampler, total_steps=44, start={}, resumed=None, stop=stop) as run:
            run.recovery.until_done(lambda: train(run))
    """

    def __init__(
        self,
        config: RunConfig,
        fleet: Fleet,
        sampler: PromptSampler,
        *,
        total_steps: int,
        start: dict[str, Any],
        resumed: Checkpoint | None,
        stop: StopSignal,
    ) -> None:
        self.config, self.fleet, self.sampler, self.stop = config, fleet, sampler, stop
        self.began = time.monotonic()
        self.clock = Clock()
        self.step = 0  # the last one that was done
        self.ahead: Ahead[Any] | None = None  # makes what the next step needs
        self.tracker = Tracker(
            config.folder,
            config.tracking,
            total_steps=total_steps,
            resume_step=resumed.step if resumed else None,
            before_write=lambda: look(config.folder),
        )
        fleet.note = self.tracker.note
        if not config.checkpoint.every_steps:
            self.tracker.note(
                "checkpoint.every_steps is 0: only the end, SIGTERM and Ctrl-C save; a crash costs all steps"
            )
        self.saver = Saver(
            config, total_steps=total_steps, write=self.write, note=self.tracker.note
        )
        self.recovery = Recovery(
            max_restarts=config.trainer.max_restarts,
            go_back=self.go_back,
            note=self.tracker.note,
            stop=stop,
        )
        state = {"sampler": sampler.state_dict(), "best": None, **start}
        self.start = Checkpoint(step=0, folder=config.folder, state=state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.ahead is not None:
            self.ahead.close()
        if not isinstance(error, LockLostError):
            self.tracker.close()

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint, or back to one; step 0 is the start."""
        self.saver.restore(found)
        if found.step:
            assert self.fleet.trainers is not None
            self.fleet.trainers.load_checkpoint(found.folder / "trainer")
        self.sampler.load_state_dict(found.state["sampler"])
        self.step = found.step

    def go_back(self) -> tuple[int, int]:
        """After the loss of a trainer rank: new ranks, and everything as it was at the last checkpoint."""
        self.fleet.restart_trainers()
        found = self.saver.checkpoints.latest() or self.start
        self.tracker.rewind(found.step)
        done = self.step
        self.restore(found)
        return done, found.step

    def write(self, folder: Path) -> None:
        """Fill the folder of a checkpoint."""
        assert self.fleet.trainers is not None
        self.fleet.trainers.save_checkpoint(folder / "trainer")
        write_policy(self.fleet, self.config, folder / "policy")

    def write_policy(self) -> None:
        """Write the trained policy of the run."""
        write_policy(self.fleet, self.config, self.config.folder / "policy")

    def finish(self, **own: Any) -> dict[str, Any]:
        """Mark the run finished. Returns its result: policy folder, checkpoints, seconds, and what is its own."""
        return write_result(
            self.config,
            {
                "kind": self.config.kind,
                "policy": str(self.config.folder / "policy"),
                "wall_seconds": time.monotonic() - self.began,
                **self.saver.result(),
                **self.recovery.result(),
                **own,
            },
        )
