"""Cold start: supervised training on chain-of-thought demonstrations (Vision-R1, section 3.3). `vr1 sft CONFIG`.

The same trainer as RL, with a cross-entropy algorithm: one optimizer update a step.
"""

from typing import TYPE_CHECKING, Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.config.demand import num_updates, rows_of_update
from vr1_ray.data import Ahead, PromptSampler
from vr1_ray.runs.checkpoints import Checkpoint
from vr1_ray.runs.run_folder import open_run
from vr1_ray.runs.run_state import begin, now_running
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.runs.training_run import TrainingRun
from vr1_ray.training.rows import Unit, num_tokens, unit_of_demonstration
from vr1_ray.types import Prompt
from vr1_ray.wording import counted

if TYPE_CHECKING:  # what was read before is handed in from above
    from vr1_ray.preflight import RunInputs


def run_sft(config: RunConfig, inputs: "RunInputs", stop: StopSignal) -> dict[str, Any]:
    """Train the base model on demonstrations. Returns the result with the policy folder.

    Raises ConfigError for a run folder or cluster that doesn't fit, ActorError if an actor fails, SaveError if the
    last checkpoint can't be saved, Stopped after a SIGTERM.
    """
    total = num_updates(config, len(inputs.demonstrations))
    found = open_run(config)
    begin(config)
    connect(config)
    stop.listen()
    with (
        Fleet(config) as fleet,
        SftRun(config, fleet, inputs, total_steps=total, resumed=found, stop=stop) as run,
    ):
        run.tracker.note(f"{counted(total, 'update')}; logs in {config.folder / 'logs'}")
        for note in inputs.notes:
            run.tracker.note(note)
        fleet.place_pictures(run.sampler.prompts)
        fleet.start(total_updates=total)
        if found:
            run.restore(found)
        now_running(config)
        with stop.held():
            run.recovery.until_done(lambda: train(run))
        return run.finish(
            num_demonstrations=len(inputs.demonstrations),
            num_dropped=inputs.num_left_out,
            num_updates=total,
        )


def train(run: "SftRun") -> None:
    """One optimizer update a step; then the policy is written."""
    while run.step < run.saver.total_steps:
        run.train_step(run.step + 1)
        run.after_step(run.step)
    run.write_policy()


class SftRun(TrainingRun):
    """What the cold start's loop holds beside what every training run does: the demonstrations."""

    def __init__(
        self,
        config: RunConfig,
        fleet: Fleet,
        inputs: "RunInputs",
        *,
        total_steps: int,
        resumed: Checkpoint | None,
        stop: StopSignal,
    ) -> None:
        self.adapter = inputs.adapter
        self.by_id = {one.prompt.prompt_id: one for one in inputs.demonstrations}
        sampler = PromptSampler([one.prompt for one in inputs.demonstrations], seed=config.seed)
        super().__init__(
            config, fleet, sampler, total_steps=total_steps, start={}, resumed=resumed, stop=stop
        )
        self.ahead = self.ahead_of_training = Ahead(self.make)

    def train_step(self, step: int) -> None:
        """One optimizer update on the next demonstrations, logged."""
        self.clock.begin()
        made = self.ahead_of_training.take(self.sampler.next(self.num_rows(step)))
        if step < self.saver.total_steps:
            self.ahead_of_training.begin(self.sampler.peek(self.num_rows(step + 1)))
        units, prompts = [unit for unit, _ in made], [prompt for _, prompt in made]
        metrics = self.fleet.train_units(units, prompts, step=step)
        self.sampler.mark_trained()
        self.clock.lap("train")
        metrics |= self.clock.metrics()
        metrics["tokens_per_second"] = (
            sum(num_tokens(unit) for unit in units) / metrics["time/step"]
        )
        self.tracker.log(step, metrics | self.saver.metrics())
        self.step = step

    def num_rows(self, step: int) -> int:
        return rows_of_update(self.config, len(self.sampler.prompts), step)

    def make(self, prompt: Prompt) -> tuple[Unit, Prompt]:
        """The training row of a demonstration, and its prompt as it goes to the ranks."""
        unit = unit_of_demonstration(self.by_id[prompt.prompt_id], self.adapter)
        return unit, self.fleet.for_actors([prompt])[0]

    def after_step(self, step: int) -> None:
        """Save when it is time. Raises Stopped, after saving, if a signal has come."""
        if self.saver.is_due(step) or self.stop.is_requested:
            self.saver.save(step, {"sampler": self.sampler.state_dict()})
        self.stop.check()
