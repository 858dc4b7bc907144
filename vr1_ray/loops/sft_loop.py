"""Cold start: supervised training on chain-of-thought demonstrations (Vision-R1, section 3.3). `vr1 sft CONFIG`.

The same trainer as RL, with a cross-entropy algorithm: one optimizer update a step.
"""

import time
from pathlib import Path
from typing import Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.data import PromptSampler
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.preflight import check_inputs, check_quickly, read_demonstrations
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.clock import Clock
from vr1_ray.runs.policy_card import write_policy
from vr1_ray.runs.recovery import Recovery
from vr1_ray.runs.run_folder import open_run, write_result
from vr1_ray.runs.saving import Saver
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.tracking import Tracker
from vr1_ray.training.rows import num_tokens, unit_of_demonstration
from vr1_ray.types import Demonstration


def num_updates(config: RunConfig, num_demonstrations: int) -> int:
    """Optimizer updates of the run: `max_steps` if given, else `num_epochs` over the demonstrations."""
    by_epochs = int(config.num_epochs * num_demonstrations / config.prompts_per_step)
    return config.max_steps or max(1, by_epochs)


def run_sft(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Train the base model on demonstrations. Returns the result with the policy folder.

    Raises ValueError for bad input before anything is started, ActorError if an actor fails, SaveError if the
    last checkpoint can't be saved, Stopped after a SIGTERM.
    """
    began = time.monotonic()
    check_inputs(config)
    adapter = load_adapter(config.model)
    warnings = check_quickly(config, adapter)
    demonstrations, dropped = read_demonstrations(config, adapter)
    total = num_updates(config, len(demonstrations))
    found = open_run(config)
    connect(config)
    stop.listen()
    by_id = {demonstration.prompt.prompt_id: demonstration for demonstration in demonstrations}
    sampler = PromptSampler(
        [demonstration.prompt for demonstration in demonstrations], seed=config.seed
    )
    tracker = Tracker(
        config.folder,
        config.tracking,
        total_steps=total,
        resume_step=found.step if found else None,
    )
    tracker.note(
        f"{len(demonstrations)} demonstrations, {dropped} dropped as too long; {total} updates"
    )
    for warning in warnings:
        tracker.note(warning)
    try:
        with Fleet(config) as fleet:
            fleet.start(total_updates=total)
            run = SftRun(config, fleet, adapter, sampler, by_id, tracker, total_steps=total)
            recovery = Recovery(
                max_restarts=config.trainer.max_restarts,
                go_back=run.go_back,
                note=tracker.note,
                stop=stop,
            )
            if found:
                run.restore(found)
            with stop.held():
                recovery.until_done(lambda: train(run, stop))
    finally:
        tracker.close()
    return write_result(
        config,
        {
            "kind": "sft",
            "policy": str(config.folder / "policy"),
            "num_demonstrations": len(demonstrations),
            "num_dropped": dropped,
            "num_updates": total,
            "wall_seconds": time.monotonic() - began,
            **run.saver.result(),
            **recovery.result(),
        },
    )


def train(run: "SftRun", stop: StopSignal) -> None:
    """One optimizer update a step; then the policy is written."""
    while run.step < run.saver.total_steps:
        run.train_step(run.step + 1)
        run.after_step(run.step, stop)
    write_policy(run.fleet, run.config, run.config.folder / "policy")


class SftRun:
    """What the cold start's loop holds."""

    def __init__(
        self,
        config: RunConfig,
        fleet: Fleet,
        adapter: ModelAdapter,
        sampler: PromptSampler,
        by_id: dict[str, Demonstration],
        tracker: Tracker,
        *,
        total_steps: int,
    ) -> None:
        assert fleet.trainers is not None
        self.config, self.fleet, self.trainers = config, fleet, fleet.trainers
        self.adapter, self.sampler, self.by_id, self.tracker = adapter, sampler, by_id, tracker
        self.saver = Saver(config, total_steps=total_steps, write=self.write, note=tracker.note)
        self.clock = Clock()
        self.step = 0  # the last one that was done
        start = {"sampler": sampler.state_dict(), "best": None}
        self.start = Checkpoint(step=0, folder=config.folder, state=start)

    def train_step(self, step: int) -> None:
        """One optimizer update on the next demonstrations, logged."""
        self.clock.begin()
        prompts = self.sampler.next(self.config.prompts_per_step)
        units = [
            unit_of_demonstration(self.by_id[prompt.prompt_id], self.adapter) for prompt in prompts
        ]
        metrics = self.fleet.train_units(units, prompts, step=step)
        self.sampler.mark_trained()
        self.clock.lap("train")
        metrics |= self.clock.metrics()
        metrics["tokens_per_second"] = (
            sum(num_tokens(unit) for unit in units) / metrics["time/step"]
        )
        self.tracker.log(step, metrics | self.saver.metrics())
        self.step = step

    def after_step(self, step: int, stop: StopSignal) -> None:
        """Save when it is time. Raises Stopped, after saving, if a SIGTERM has come."""
        if self.saver.is_due(step) or stop.is_requested:
            self.saver.save(step, {"sampler": self.sampler.state_dict()})
        stop.check()

    def write(self, folder: Path) -> None:
        self.trainers.save_checkpoint(folder / "trainer")
        write_policy(self.fleet, self.config, folder / "policy")

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint, or back to one; step 0 is the start."""
        self.saver.restore(found)
        if found.step:
            self.trainers.load_checkpoint(found.folder / "trainer")
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
