"""How fast a pool of reward actors scores: real actors, responses saved by a real run.

    python examples/benchmarks/reward_pool.py --run runs/quickstart/rl

Scores `--responses` responses (the run's saved groups, again and again until there are enough) with one
and with two actors: by the hard format reward, which computes, and by a reward that waits as a judge
does. Prints responses per second, and the median and 99th percentile of a group's time from its
submission to its last score, with as many groups queued as a step has.

Measured on two slow cores (AVX2), 20,000 responses, 1,344 of them different, from a quickstart run:

    hard_format     1 actor  2345/s  p50  73 ms  p99 116 ms    2 actors  3572/s  p50  49 ms  p99  81 ms    1.52 x
    waiting, 2 ms   1 actor   393/s  p50 379 ms  p99 659 ms    2 actors   776/s  p50 194 ms  p99 325 ms    1.98 x
"""

import argparse
import itertools
import time
from pathlib import Path
from statistics import median, quantiles

import ray

from vr1_ray.actors.rewards.reward_actor import RewardActor
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.config import RewardPoolConfig, RewardSpec, RunConfig
from vr1_ray.rewards import Reward
from vr1_ray.tracking.rollout_store import load_groups, saved_steps
from vr1_ray.types import RewardInput, RewardOutput, RolloutGroup

GROUPS_AT_ONCE = 16


class Waiting(Reward):
    """A reward that only waits, as one that asks a server does."""

    def __init__(self, milliseconds: float = 5.0) -> None:
        self.seconds = milliseconds / 1000

    def score(self, reward_input: RewardInput) -> RewardOutput:
        time.sleep(self.seconds)
        return RewardOutput(value=1.0)


def saved_groups(run: Path) -> list[RolloutGroup]:
    """All groups that the run saved."""
    return [group for step in saved_steps(run) for group in load_groups(run, step)]


def measure(
    config: RunConfig, refs: list[tuple[object, object, int]], responses: int
) -> tuple[int, float, list[float]]:
    """Responses scored, seconds, and each group's seconds from submission to score."""
    pool_config = config.reward_pools["default"]
    remote = ray.remote(RewardActor).options(num_cpus=0.1)
    pool = RewardPool(
        "default",
        pool_config,
        lambda index: remote.remote(config, "default", index),
        start_timeout_seconds=60,
        note=print,
    )
    ray.get(list(pool.starting().values()), timeout=60)
    source = itertools.cycle(refs)
    submitted, latencies, asked, scored = {}, [], 0, 0
    began = time.monotonic()
    while scored < responses:
        while len(submitted) < GROUPS_AT_ONCE and asked < responses:
            group_ref, prompt_ref, size = next(source)
            pool.score(asked, group_ref, prompt_ref, places=tuple(range(size)), where="benchmark")
            submitted[asked] = (time.monotonic(), size)
            asked += size
        ready, _ = ray.wait(pool.pending, timeout=60)
        for group in [scored_group for ref in ready for scored_group in pool.take(ref)]:
            started, size = submitted.pop(group.key)
            latencies.append(time.monotonic() - started)
            scored += size
    seconds = time.monotonic() - began
    for actor in pool.actors:
        ray.kill(actor)
    return scored, seconds, latencies


def main() -> None:
    """Prints one row per reward and number of actors."""
    parser = argparse.ArgumentParser(description="Measure a pool of reward actors.")
    parser.add_argument("--run", type=Path, required=True, help="a run folder with saved rollouts")
    parser.add_argument("--responses", type=int, default=20_000)
    parser.add_argument("--wait_ms", type=float, default=5.0)
    args = parser.parse_args()
    ray.init(include_dashboard=False, log_to_driver=False)
    groups = saved_groups(args.run)
    refs = [(ray.put(group), ray.put(group.prompt), len(group.rollouts)) for group in groups]
    print(f"{len(groups)} saved groups, {sum(size for *_, size in refs)} different responses")
    waiting = RewardSpec(name=f"{__name__}:Waiting", options={"milliseconds": args.wait_ms})
    for label, spec in (("hard_format", RewardSpec(name="hard_format")), ("waiting", waiting)):
        rates = []
        for actors in (1, 2):
            config = RunConfig(
                kind="rl",
                name="benchmark",
                rewards=[spec],
                reward_pools={"default": RewardPoolConfig(num_actors=actors)},
            )
            number, seconds, latencies = measure(config, refs, args.responses)
            rates.append(number / seconds)
            print(
                f"{label:12s} {actors} actors: {number} responses in {seconds:.1f} s, {rates[-1]:.0f}/s, "
                f"group p50 {1000 * median(latencies):.1f} ms, p99 {1000 * quantiles(latencies, n=100)[98]:.1f} ms"
            )
        print(f"{label:12s} 1 -> 2 actors: {rates[1] / rates[0]:.2f} x")


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parent))
    from reward_pool import main as imported_main  # so that actors find `Waiting` by module name

    imported_main()
