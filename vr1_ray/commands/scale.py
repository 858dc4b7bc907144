"""Changing how many engines and reward actors a live run has, from another process: `vr1 scale RUN`."""

from pathlib import Path

from vr1_ray.actors.control import ScaleCommand, check_command, send
from vr1_ray.commands.status import find_run, is_run
from vr1_ray.config import ConfigError, load_config
from vr1_ray.runs.run_folder import CONFIG


def scale(
    run: str,
    *,
    engines: int | None,
    rewards: int | None,
    pool: str,
    runs_folder: str,
    wait_seconds: float,
) -> str:
    """Ask a live run for another size; returns its answer, which comes at its next step.

    Raises ConfigError if there is no such live run or it can't have that size, ActorError if no answer comes.
    """
    folder = find_run(run, Path(runs_folder))
    if not is_run(folder):
        raise ConfigError(f"{run}: is a recipe; name the step that runs, such as {run}/rl")
    config = load_config(folder / CONFIG)
    if config.kind != "rl":
        raise ConfigError(f"{run}: is of kind {config.kind}; only an rl run changes its size")
    command = ScaleCommand(engines=engines, rewards=rewards, pool=pool)
    check_command(command, config)
    return send(folder, command, wait_seconds=wait_seconds, named=config.cluster.address)
