"""GRPO under PTST: the loop that everything else serves.

`train` is the whole story on one screen; `run_rl` starts the fleet and picks up a checkpoint. What the loop holds
between its steps: `rl_run.py`. How each verb is done: `actors/fleet.py`. Run it with `vr1 rl CONFIG`.
"""

from typing import TYPE_CHECKING, Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.loops.held_out import HeldOut
from vr1_ray.loops.measures import group_metrics, stage_metrics, with_trained
from vr1_ray.loops.rl_run import RlRun
from vr1_ray.runs.run_folder import open_run
from vr1_ray.runs.run_state import begin, now_running
from vr1_ray.runs.stopping import StopSignal

if TYPE_CHECKING:  # what was read before is handed in from above
    from vr1_ray.preflight import RunInputs


def train(run: RlRun) -> None:
    """Sample, score, compare, learn, sync; until the curriculum is finished."""
    curriculum, fleet, algorithm, clock = run.curriculum, run.fleet, run.algorithm, run.clock
    while not curriculum.is_finished():
        clock.begin()
        step, stage = curriculum.begin_step()
        run.enter(stage)
        run.submit(stage, step)
        with run.stopping_at_once():
            groups = fleet.collect(step)
        clock.lap("generate")
        if algorithm.kl_in_reward:
            groups = fleet.add_reference_logprobs(groups)
        groups = algorithm.assign_advantages(groups)
        trained = algorithm.select(groups)
        if algorithm.needs_reference and not algorithm.kl_in_reward:
            trained = fleet.add_reference_logprobs(trained)
        clock.lap("reference")
        run.look()
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


def finish(run: RlRun) -> None:
    """Write the trained policy; after a loss that went back to an earlier step, train up to the end first."""
    with run.stop.held():
        train(run)
    run.write_policy()


def run_rl(
    config: RunConfig, inputs: "RunInputs", held_out: HeldOut, stop: StopSignal
) -> dict[str, Any]:
    """Train a cold-started policy. Returns the result: stages, policy folder, checkpoints, wall seconds.

    Raises ConfigError for a run folder or cluster that doesn't fit, ActorError if an actor fails, SaveError if the
    last checkpoint can't be saved, Stopped after a SIGTERM.
    """
    found = open_run(config)
    begin(config)
    connect(config)
    stop.listen()
    with (
        Fleet(config, objects=inputs.objects) as fleet,
        RlRun(
            config,
            fleet,
            inputs.prompts,
            held_out,
            resumed=found,
            stop=stop,
            adapter=inputs.adapter,
        ) as run,
    ):
        run.tracker.note(f"logs in {config.folder / 'logs'}")
        for note in inputs.notes:
            run.tracker.note(note)
        fleet.place_pictures([*inputs.prompts, *held_out.prompts])
        fleet.start(total_updates=run.saver.total_steps * config.trainer.mini_batches_per_step)
        now_running(config)
        if found:
            run.restore(found)
        else:
            run.evaluation.at_start()
        with stop.held():
            run.recovery.until_done(lambda: train(run))
        run.evaluation.at_end()
        run.recovery.until_done(lambda: finish(run))
        return run.finish(stages=run.curriculum.summary(), num_steps=run.step, early_ends=run.told)
