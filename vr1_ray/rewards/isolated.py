"""Rewards in a process of their own, which may hang, raise or end without harm to this one: for a rehearsal.

Stands here and not where it is used, because the process imports the module that it is to run: this floor loads
without torch, so that takes a second and not eight.
"""

import multiprocessing
from multiprocessing.connection import Connection

from vr1_ray.config import RewardSpec
from vr1_ray.rewards import RewardError, RewardUnavailableError, combine_batch, make_rewards
from vr1_ray.types import RewardInput, RewardOutput

START_SECONDS = 180.0  # a process to start or end, on a busy machine


def score_isolated(
    specs: list[RewardSpec], inputs: list[RewardInput], *, limit_seconds: float
) -> tuple[str, list[float]]:
    """What is wrong and what to do ("" if nothing), and the rewards of `inputs`, combined by their weights."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_score, args=(there, specs, inputs), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(limit_seconds):
            return (
                f"no reward within {limit_seconds:.0f} s of {', '.join(spec.name for spec in specs)}; find what hangs, or "
                f"raise {', '.join(f'reward_pools.{pool}.timeout_seconds' for pool in sorted({spec.pool for spec in specs}))}",
                [],
            )
        return here.recv()
    except EOFError:
        process.join(START_SECONDS)
        return f"a reward ended its process (exit code {process.exitcode}); mend it", []
    finally:
        process.kill()
        process.join(START_SECONDS)
        here.close()


def _score(there: Connection, specs: list[RewardSpec], inputs: list[RewardInput]) -> None:
    """In the child: the rewards, or the first line of what is wrong with them."""
    try:
        outcomes = combine_batch(make_rewards(specs), inputs)
    except RewardError as error:
        there.send((f"{str(error).splitlines()[0]}; mend the reward", []))
        return
    unavailable = [str(one) for one in outcomes if isinstance(one, RewardUnavailableError)]
    if unavailable:
        there.send((f"{unavailable[0]}; start the service, or leave the reward out", []))
        return
    there.send(("", [one.value for one in outcomes if isinstance(one, RewardOutput)]))
