"""What the RL loop holds between its steps, and what it does at their edges: stages, saved rollouts, evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vr1_ray.actors.fleet import CurriculumHandle, Fleet
from vr1_ray.algorithms import Algorithm, make_algorithm
from vr1_ray.config import RunConfig
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data import Ahead, PromptSampler
from vr1_ray.data.blindness import blindness_alarm, blindness_text
from vr1_ray.loops.blindness import BlindnessProbe
from vr1_ray.loops.held_out import HeldOut, evaluate_anew
from vr1_ray.loops.measures import logprob_alarms
from vr1_ray.loops.rl_evaluation import RlEvaluation
from vr1_ray.models import ModelAdapter
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.policy_card import write_policy
from vr1_ray.runs.stopping import Stopped, StopSignal
from vr1_ray.runs.training_run import TrainingRun
from vr1_ray.tracking import RolloutStore
from vr1_ray.types import Prompt, RolloutGroup, Stage


class RlRun(TrainingRun):
    """What the RL loop holds beside what every training run does: algorithm, stages, saved rollouts, evaluation."""

    def __init__(
        self,
        config: RunConfig,
        fleet: Fleet,
        prompts: list[Prompt],
        held_out: HeldOut,
        *,
        resumed: Checkpoint | None,
        stop: StopSignal,
        adapter: ModelAdapter | None = None,
    ) -> None:
        """With an `adapter` prompts and token ids of the next step are made during the present one."""
        # Only asked for its lengths: the actor decides.
        self.stages = make_curriculum(config.curriculum)
        super().__init__(
            config,
            fleet,
            PromptSampler(prompts, seed=config.seed),
            total_steps=self.stages.total_steps,
            start={"curriculum": self.stages.state_dict(), "stage": 0, "reference": ""},
            resumed=resumed,
            stop=stop,
        )
        if adapter is not None:
            render = adapter.render
            self.ahead = Ahead(lambda prompt: (fleet.for_actors([prompt])[0], render(prompt)))
        self.algorithm: Algorithm = make_algorithm(config.algorithm, kind=config.kind)
        self.held_out = held_out
        self.store = RolloutStore(
            config.folder, config.rollout.save, config.rollout.save_groups_per_step
        )
        self.stage_number = 0
        self.whole: tuple[int, dict[str, Any]] | None = None  # the last step done here, as saved
        self.told: list[str] = []  # early ends of stages
        self.blindness = BlindnessProbe(config, prompts)
        self.seen: dict[str, float] = {}  # what the probe found in this step
        self.evaluation = RlEvaluation(
            config,
            self.saver,
            self.tracker,
            stop,
            total_steps=self.stages.total_steps,
            evaluate=self.evaluate,
        )

    @property
    def curriculum(self) -> CurriculumHandle:
        assert self.fleet.curriculum is not None
        return self.fleet.curriculum

    def restore(self, found: Checkpoint) -> None:
        """Go on from a checkpoint: trainer, curriculum, data position, and the engines' weights."""
        super().restore(found)
        self.whole = None  # of a step that is done again, after a loss
        self.blindness.forget()
        self.store.rewind(found.step)
        self.curriculum.load_state_dict(found.state["curriculum"])
        self.curriculum.is_finished()  # asked, so that it is known how the restored one stands
        self.settle_length(found.step)
        self.stage_number = found.state["stage"]
        self.fleet.reset_reference(found.state["reference"])
        self.fleet.sync_weights(policy_version=found.step)
        self.evaluation.catch_up(found.step)

    def settle_length(self, step: int) -> None:
        """How many steps there are: the plan's, or fewer where the curriculum has ended the run early. New ends are told."""
        for text in self.curriculum.early_ends:
            if text not in self.told:
                self.tracker.note(text)
        self.told = list(self.curriculum.early_ends)
        planned = self.stages.total_steps
        total = step if self.curriculum.is_over else planned
        if total < planned:
            self.tracker.note(f"the curriculum ends the run after step {total} of {planned}")
        self.saver.total_steps = self.evaluation.total_steps = total

    def enter(self, stage: Stage) -> None:
        """A stage change rebuilds nothing; at most the reference is reset, if the config says so. Then the probe asks."""
        self.seen = {}
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
        if self.blindness.swapped:
            self.clock.lap("generate")
            self.blindness.ask(self.fleet, stage)
            self.clock.lap("blindness")

    def look(self) -> None:
        """At a stage's start: does the policy look at its pictures? Before the update, for it is the one that was asked."""
        if self.blindness.answered:
            self.seen = self.blindness.figures(self.fleet)
            self.clock.lap("blindness")
        if self.seen:
            self.tracker.note(f"stage {self.stage_number}: {blindness_text(self.seen)}")

    def reference_folder(self, stage_number: int) -> Path:
        return self.config.folder / f"reference_stage_{stage_number}"

    def submit(self, stage: Stage, step: int) -> None:
        """Ask for the step's groups; those of the next are made ready meanwhile."""
        prompts = self.sampler.next(self.config.prompts_per_step)
        if self.ahead is None:
            self.fleet.submit(prompts, stage, step)
            return
        made = self.ahead.take(prompts)
        self.ahead.begin(self.sampler.peek(self.config.prompts_per_step))
        self.fleet.submit([one for one, _ in made], stage, step, [ids for _, ids in made])

    @contextmanager
    def stopping_at_once(self) -> Iterator[None]:
        """A block in which nothing of the step is trained yet: a SIGTERM or Ctrl-C ends it, and the last whole step is saved.

        Not where engines hold the trainer's GPUs meanwhile: there the step is finished first.
        """
        if self.config.is_colocated:
            yield
            return
        try:
            with self.stop.interruptible():
                yield
        except Stopped:
            if self.whole is not None and self.whole[0] != self.saver.last_step:
                self.saver.save(*self.whole)
            raise

    def keep(self, step: int, groups: list[RolloutGroup]) -> None:
        """Save the step's rollouts. A full disk costs these, not the run."""
        try:
            self.store.save(groups)
        except OSError as error:
            self.tracker.note(f"ALARM step {step}: its rollouts could not be saved: {error}")

    def report(self, step: int, metrics: dict[str, float], alarms: list[str]) -> None:
        alarms = [*alarms, *logprob_alarms(metrics, self.config)]
        blind = blindness_alarm(self.seen, self.config.blindness.alarm_looks_rate)
        alarms += [blind] if blind else []
        self.tracker.log(
            step, metrics | self.seen | self.saver.metrics() | self.fleet.policy_hash()
        )
        self.step = step
        assert self.fleet.size is not None
        self.fleet.size.observe(metrics)
        self.settle_length(step)
        for alarm in alarms:
            self.tracker.note(f"ALARM step {step}: {alarm}")

    def after_step(self, step: int, stage: Stage) -> None:
        """Evaluate and save when it is time. Raises Stopped, after saving, if a SIGTERM has come."""
        self.whole = step, self.state(stage)
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
            "early_ends": self.told,
            "reference": str(self.reference_folder(stage.number)) if has_reset else "",
        }

    def evaluate(self, label: str) -> dict[str, float]:
        """The figures of the engines' policy; what was asked and answered is kept under the label."""
        return evaluate_anew(self.fleet, self.config, self.held_out, label=label)
