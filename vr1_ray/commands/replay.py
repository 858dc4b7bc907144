"""`vr1 replay RUN --step K`: the update of a step once more, from what the run saved, compared bit for bit.

It takes the checkpoint before step K (weights, optimizer, random generators) and the rollouts of the steps
since, computes advantages and updates again, and compares the policy with the checkpoint of step K, and with
`policy_hash` in the row of step K. No engine is started, and no data or base model is read; only a replay from
the very start needs `model.path`. The run must have kept all rollouts (`rollout.save: all`).

Bit for bit it can only be with as many ranks and threads as the run had, on the same kind of machine: the
number of ranks is taken from the checkpoint, all else from the run's config.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vr1_ray.actors.cluster import connect, with_absolute_paths
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import wait_for
from vr1_ray.algorithms import make_algorithm
from vr1_ray.commands.status import find_run
from vr1_ray.config import ConfigError, RunConfig, check_config, load_config
from vr1_ray.curriculum import make_curriculum
from vr1_ray.runs.checkpoints import Checkpoint, Checkpoints, find_fault
from vr1_ray.runs.lock import held
from vr1_ray.runs.run_folder import CONFIG, check_owner
from vr1_ray.tracking import load_groups
from vr1_ray.tracking.jsonl import METRICS, read_rows
from vr1_ray.training.rows import unit_of_group
from vr1_ray.types import RolloutGroup
from vr1_ray.wording import counted

BUCKET_BYTES = 512 << 20


@dataclass(kw_only=True)
class Verdict:
    """What a replay found: one line a comparison, and whether all agreed.

    Example:
        Verdict(step=7, lines=["policy: 57 weights identical to step_000007"], is_identical=True)
    """

    step: int
    lines: list[str] = field(default_factory=list)
    is_identical: bool = True

    def add(self, is_same: bool, same: str, different: str) -> None:
        self.lines.append(same if is_same else f"DIFFERENT {different}")
        self.is_identical &= is_same

    def text(self) -> str:
        """The screen of the verdict; its last line is the verdict itself."""
        last = (
            f"IDENTICAL: the update of step {self.step} is reproduced bit for bit"
            if self.is_identical
            else f"NOT IDENTICAL: the update of step {self.step} is not reproduced"
        )
        return "\n".join([*self.lines, last])


def replay(
    run: str, *, step: int, runs_folder: str = "runs", overrides: list[str] | None = None
) -> Verdict:
    """Redo the update of a step. `overrides` are of the run's config, such as cluster.address=local.

    Raises ConfigError, a ValueError, naming what the run did not save; ActorError if an actor fails.
    """
    folder = find_run(run, Path(runs_folder))
    config = load_config(folder / CONFIG, overrides)
    check_config(config)
    _check_saved(config, folder, step)
    before = Checkpoints(folder).latest(before=step)
    if before:
        check_owner(before.folder, config)
    groups_by_step = {
        number: load_groups(folder, number)
        for number in range((before.step if before else 0) + 1, step + 1)
    }
    verdict = Verdict(step=step)
    with held(_own_folder(folder)):
        _replay(config, folder, before, groups_by_step, verdict)
    return verdict


def _replay(
    config: RunConfig,
    folder: Path,
    before: Checkpoint | None,
    groups_by_step: dict[int, list[RolloutGroup]],
    verdict: Verdict,
) -> None:
    """Make the updates, the last one the step's, and compare."""
    step = verdict.step
    start = f"checkpoint {before.folder}" if before else f"the start, {config.model.path}"
    verdict.lines.append(f"replayed: {counted(len(groups_by_step), 'update')} from {start}")
    connect(replace(config, kind="sft"))  # it reserves what a trainer alone does
    group = _start(config, folder, before)
    try:
        for number, groups in groups_by_step.items():
            metrics = _update(group, config, groups, number, verdict)
        _, found_hash = group.publish(step, BUCKET_BYTES, is_hashed=True)
        group.save_policy(_own_folder(folder) / "policy")
    finally:
        group.release()
    _compare(verdict, folder, metrics, found_hash)


def _check_saved(config: RunConfig, folder: Path, step: int) -> None:
    """Raise ConfigError if the run did not keep what the replay of a step needs."""
    if config.kind != "rl":
        raise ConfigError(
            f"kind: {config.kind} in {folder}; only an rl run saves rollouts to replay"
        )
    if config.rollout.save != "all":
        raise ConfigError(
            f"rollout.save: {config.rollout.save} in {folder} keeps too little to replay; "
            "start a run with rollout.save=all"
        )
    if step < 1:
        raise ConfigError(f"--step {step}: steps count from 1")
    if find_fault(Checkpoints(folder).path(step)) and not _row(folder, step).get("policy_hash"):
        raise ConfigError(
            f"--step {step}: {folder} has neither a sound checkpoint of this step nor its policy_hash in {METRICS}; "
            "there is nothing to compare with"
        )


def _start(config: RunConfig, folder: Path, before: Checkpoint | None) -> TrainerGroup:
    """The trainer as it was after the checkpoint."""
    trainer = config.trainer
    if before:
        ranks = len(list((before.folder / "trainer").glob("rng_rank_*.pt")))
        trainer = replace(trainer, num_workers=ranks)
        config = replace(config, model=replace(config.model, path=str(before.folder / "policy")))
    own = _own_folder(folder)
    config = replace(config, trainer=trainer, runs_folder=str(own.parent), name=own.name)
    config = with_absolute_paths(config)
    total = make_curriculum(config.curriculum).total_steps * trainer.mini_batches_per_step
    group = TrainerGroup(config)
    wait_for(
        group.starting(total, None),
        phase="starting the trainer",
        timeout_seconds=config.cluster.start_timeout_seconds,
    )
    if before:
        group.load_checkpoint(before.folder / "trainer")
    return group


def _own_folder(folder: Path) -> Path:
    """Where a replay writes: logs, and the policy it came to."""
    return folder / "replay"


def _update(
    group: TrainerGroup,
    config: RunConfig,
    groups: list[RolloutGroup],
    step: int,
    verdict: Verdict,
) -> dict[str, float]:
    """One step's advantages and updates."""
    algorithm = make_algorithm(config.algorithm, kind=config.kind)
    again = algorithm.assign_advantages(groups)
    is_same = _advantages(again) == _advantages(groups)
    verdict.add(
        is_same,
        f"step {step}: advantages of {sum(len(item.rollouts) for item in groups)} rollouts identical",
        f"step {step}: advantages computed from the saved rewards are not the saved ones",
    )
    trained = algorithm.select(again)
    units = [unit_of_group(item, temperature=config.rollout.temperature) for item in trained]
    return group.train_step(units, [item.prompt for item in trained], step=step)


def _advantages(groups: list[RolloutGroup]) -> list[float | None]:
    return [rollout.advantage for group in groups for rollout in group.rollouts]


def _compare(verdict: Verdict, folder: Path, metrics: dict[str, float], found_hash: str) -> None:
    row = _row(folder, verdict.step)
    known = {name: value for name, value in metrics.items() if name in row}
    others = [name for name, value in known.items() if row[name] != value]
    verdict.add(
        not others,
        f"metrics: {len(known)} of the update identical to {METRICS}",
        f"metrics: {', '.join(others)} are not those of {METRICS}",
    )
    if row.get("policy_hash"):
        verdict.add(
            row["policy_hash"] == found_hash,
            f"policy: hash identical to {METRICS}, {found_hash[:16]}...",
            f"policy: hash {found_hash[:16]}... is not {row['policy_hash'][:16]}... of {METRICS}",
        )
    saved = Checkpoints(folder).path(verdict.step)
    if find_fault(saved) is None:
        _compare_weights(verdict, saved, _own_folder(folder) / "policy")


def _compare_weights(verdict: Verdict, saved: Path, own: Path) -> None:
    expected, found = _weights(saved / "policy"), _weights(own)
    differences = {
        name: float((found[name].double() - weight.double()).abs().max())
        for name, weight in expected.items()
        if not found[name].equal(weight)
    }
    worst = max(differences, key=lambda name: differences[name], default="")
    verdict.add(
        not differences and found.keys() == expected.keys(),
        f"policy: {len(expected)} weights identical to {saved.name}",
        f"policy: {len(differences)} of {len(expected)} weights are not those of {saved.name}; the largest "
        f"difference is {differences.get(worst, 0.0):.2g} in {worst}",
    )


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {
        name: weight
        for path in sorted(folder.glob("*.safetensors"))
        for name, weight in load_file(path).items()
    }


def _row(folder: Path, step: int) -> dict[str, Any]:
    """The step's row of metrics; {} if there is none."""
    return next((row for row in read_rows(folder / METRICS) if row["step"] == step), {})
