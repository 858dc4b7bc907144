"""GRPO under PTST: the loop that everything else serves.

`train` is the whole story on one screen; `run_rl` reads the inputs, starts the fleet, and picks up a
checkpoint. How each verb is done: `actors/fleet.py`. Run it with `vr1 rl CONFIG`.
"""

import time
from pathlib import Path
from typing import Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import CurriculumHandle, Fleet
from vr1_ray.algorithms import Algorithm, make_algorithm
from vr1_ray.config import RunConfig
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data import PromptSampler
from vr1_ray.loops.eval_loop import HeldOut, evaluate_anew, read_held_out
from vr1_ray.loops.measures import group_metrics, logprob_alarms, stage_metrics, with_trained
from vr1_ray.loops.rl_evaluation import RlEvaluation
from vr1_ray.models import load_adapter
from vr1_ray.preflight import check_cold_started, check_inputs, check_quickly, read_prompts
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.clock import Clock
from vr1_ray.runs.policy_card import write_policy
from vr1_ray.runs.recovery import Recovery
from vr1_ray.runs.run_folder import open_run, write_result
from vr1_ray.runs.saving import Saver
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.tracking import RolloutStore, Tracker
from vr1_ray.types import Prompt, RolloutGroup, Stage


def train(run: "RlRun") -> None:
    """Sample, score, compare, learn, sync; until the curriculum is finished."""
    curriculum, fleet, algorithm, clock = run.curriculum, run.fleet, run.algorithm, run.clock
    while not curriculum.is_finished():
        clock.begin()
        step, stage = curriculum.begin_step()
        run.enter(stage)
        fleet.submit(run.sampler.next(run.config.prompts_per_step), stage, step)
        groups = fleet.collect(step)
        clock.lap("generate")
        groups = algorithm.assign_advantages(groups)
        trained = algorithm.select(groups)
        if algorithm.needs_reference:
            trained = fleet.add_reference_logprobs(trained)
        clock.lap("reference")
        metrics = fleet.train_step(trained)
        clock.lap("train")
        fleet.sync_weights(policy_version=step)
        clock.lap("sync")
        run.sampler.mark_trained()
        run.keep(step, with_trained(groups, trained))
        metrics |= group_metrics(groups) | stage_metrics(stage) | clock.metrics()
        metrics |= fleet.rollout_metrics()
        metrics["policy_version"] = groups[0].policy_version
        metrics["tokens_per_second"] = metrics["response_tokens/sum"] / metrics["time/step"]
        run.report(step, metrics, curriculum.observe(step, metrics))
        run.after_step(step, stage)


def finish(run: "RlRun") -> None:
    """Write the trained policy; after a loss that went back to an earlier step, train up to the end first."""
    with run.stop.held():
        train(run)
    write_policy(run.fleet, run.config, run.config.folder / "policy")


class RlRun:
    """What the loop holds: fleet, data position, records on disk."""

    def __init__(
        self,
        config: RunConfig,
        fleet: Fleet,
        prompts: list[Prompt],
        held_out: HeldOut,
        *,
        resumed: Checkpoint | None,
        stop: StopSignal,
    ) -> None:
        self.config = config
        self.fleet = fleet
        self.stop = stop
        self.algorithm: Algorithm = make_algorithm(config.algorithm, kind=config.kind)
        self.sampler = PromptSampler(prompts, seed=config.seed)
        self.held_out = held_out
        self.store = RolloutStore(
            config.folder, config.rollout.save, config.rollout.save_groups_per_step
        )
        self.clock = Clock()
        # Only asked for its lengths: the actor decides.
        self.stages = make_curriculum(config.curriculum)
        self.stage_number = 0
        self.step = 0  # the last one that was done

        self.tracker = Tracker(
            config.folder,
            config.tracking,
            total_steps=self.stages.total_steps,
            resume_step=resumed.step if resumed else None,
        )
        self.saver = Saver(
            config,
            total_steps=self.stages.total_steps,
            write=self.write,
            note=self.tracker.note,
        )
        self.evaluation = RlEvaluation(
            config,
            self.saver,
            self.tracker,
            stop,
            total_steps=self.stages.total_steps,
            evaluate=self.evaluate,
        )
        fleet.note = self.tracker.note
        self.recovery = Recovery(
            max_restarts=config.trainer.max_restarts,
            go_back=self.go_back,
            note=self.tracker.note,
            stop=stop,
        )
        start = {
            "curriculum": self.stages.state_dict(),
            "sampler": self.sampler.state_dict(),
            "stage": 0,
            "reference": "",
            "best": None,
        }
        self.start = Checkpoint(step=0, folder=config.folder, state=start)

    def __enter__(self) -> "RlRun":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.tracker.close()

    @property
    def curriculum(self) -> CurriculumHandle:
        assert self.fleet.curriculum is not None
        return self.fleet.curriculum

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint: trainer, curriculum, data position, and the engines' weights."""
        state = found.state
        self.saver.restore(found)
        self.store.rewind(found.step)
        assert self.fleet.trainers is not None
        if found.step:
            self.fleet.trainers.load_checkpoint(found.folder / "trainer")
        self.curriculum.load_state_dict(state["curriculum"])
        self.sampler.load_state_dict(state["sampler"])
        self.step, self.stage_number = found.step, state["stage"]
        self.fleet.reset_reference(state["reference"])
        self.fleet.sync_weights(policy_version=found.step)
        self.evaluation.catch_up(found.step)

    def go_back(self) -> tuple[int, int]:
        """After the loss of a trainer rank: new ranks, and everything as it was at the last checkpoint."""
        self.fleet.restart_trainers()
        found = self.saver.checkpoints.latest() or self.start
        self.tracker.rewind(found.step)
        done = self.step
        self.restore(found)
        return done, found.step

    def enter(self, stage: Stage) -> None:
        """A stage change rebuilds nothing; at most the reference is reset, if the config says so."""
        assert self.fleet.size is not None
        self.fleet.size.begin_step(stage)
        if stage.number == self.stage_number:
            return
        if self.stage_number:
            self.tracker.note(
                f"stage {stage.number}: up to {stage.max_response_tokens} tokens, groups of {stage.group_size}"
            )
            if self.config.reference.reset_at_stage_change and self.fleet.references is not None:
                folder = self.reference_folder(stage.number)
                write_policy(self.fleet, self.config, folder)
                self.fleet.reset_reference(str(folder))
        self.stage_number = stage.number

    def reference_folder(self, stage_number: int) -> Path:
        return self.config.folder / f"reference_stage_{stage_number}"

    def keep(self, step: int, groups: list[RolloutGroup]) -> None:
        """Save the step's rollouts. A full disk costs these, not the run."""
        try:
            self.store.save(groups)
        except OSError as error:
            self.tracker.note(f"ALARM step {step}: its rollouts could not be saved: {error}")

    def report(self, step: int, metrics: dict[str, float], alarms: list[str]) -> None:
        alarms = [*alarms, *logprob_alarms(metrics, self.config.model.dtype)]
        self.tracker.log(step, metrics | self.saver.metrics() | self.fleet.policy_hash())
        self.step = step
        assert self.fleet.size is not None
        self.fleet.size.observe(metrics)
        for alarm in alarms:
            self.tracker.note(f"ALARM step {step}: {alarm}")

    def after_step(self, step: int, stage: Stage) -> None:
        """Evaluate and save when it is time. Raises Stopped, after saving, if a SIGTERM has come."""
        is_best = self.evaluation.is_due(step) and self.evaluation.is_best(step)
        if self.saver.is_due(step) or is_best or self.stop.is_requested:
            self.saver.save(step, self.state(stage))
        self.stop.check()

    def state(self, stage: Stage) -> dict[str, Any]:
        """What a checkpoint holds beside the trainer's state."""
        has_reset = self.reference_folder(stage.number).is_dir()
        return {
            "curriculum": self.curriculum.state,
            "sampler": self.sampler.state_dict(),
            "stage": stage.number,
            "reference": str(self.reference_folder(stage.number)) if has_reset else "",
        }

    def write(self, folder: Path) -> None:
        assert self.fleet.trainers is not None
        self.fleet.trainers.save_checkpoint(folder / "trainer")
        write_policy(self.fleet, self.config, folder / "policy")

    def evaluate(self, label: str) -> dict[str, float]:
        """The figures of the engines' policy; what was asked and answered is kept under the label."""
        return evaluate_anew(self.fleet, self.config, self.held_out, label=label)


def run_rl(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Train a cold-started policy. Returns the result: stages, policy folder, checkpoints, wall seconds.

    Raises ValueError for bad input before anything is started, ActorError if an actor fails, SaveError if the
    last checkpoint can't be saved, Stopped after a SIGTERM.
    """
    began = time.monotonic()
    check_inputs(config)
    check_cold_started(config)
    adapter = load_adapter(config.model)
    warnings = check_quickly(config, adapter)
    prompts, skipped = read_prompts(config, adapter)
    held_out = read_held_out(config, adapter)
    found = open_run(config)
    connect(config)
    stop.listen()
    total_updates = (
        make_curriculum(config.curriculum).total_steps * config.trainer.mini_batches_per_step
    )
    with (
        Fleet(config) as fleet,
        RlRun(config, fleet, prompts, held_out, resumed=found, stop=stop) as run,
    ):
        run.tracker.note(
            f"{len(prompts)} prompts, {skipped} skipped as too long; logs in {config.folder / 'logs'}"
        )
        for warning in warnings:
            run.tracker.note(warning)
        fleet.start(total_updates=total_updates)
        if found:
            run.restore(found)
        else:
            run.evaluation.at_start()
        with stop.held():
            run.recovery.until_done(lambda: train(run))
        run.evaluation.at_end()
        run.recovery.until_done(lambda: finish(run))
        stages = run.curriculum.summary()
    return write_result(
        config,
        {
            "kind": "rl",
            "policy": str(config.folder / "policy"),
            "stages": stages,
            "wall_seconds": time.monotonic() - began,
            **run.saver.result(),
            **run.recovery.result(),
        },
    )
