"""What is told while a run's actors start, which takes from half a minute to many: what starts, and what is there."""

from collections import Counter
from collections.abc import Callable, Sequence

from vr1_ray.config import RunConfig


def what_starts(config: RunConfig) -> str:
    """The actors of this kind of run, in words."""
    parts = []
    if config.kind in ("sft", "rl"):
        parts.append(f"trainer ranks: {config.trainer.num_workers}")
    if config.kind in ("rl", "eval", "filter"):
        parts.append(f"{config.rollout.engine} engines: {config.rollout.num_engines}")
    if config.kind in ("rl", "filter"):
        pools = dict.fromkeys(spec.pool for spec in config.rewards)
        actors = sum(config.reward_pools[name].num_actors for name in pools)
        parts.append(f"reward actors: {actors}")
    took = "half a minute on a laptop, minutes with a large model"
    return f"starting {', '.join(parts)}; {took}"


def arrivals(names: Sequence[str], note: Callable[[str], None]) -> Callable[[str, float], None]:
    """For `wait_for`: tells of each kind of actor when its last one is there, and how long that took.

    Example:
        arrived = arrivals(["trainer 0", "trainer 1"], print)
        arrived("trainer 1", 8.0)
        arrived("trainer 0", 9.0)    # prints "started: 2 x trainer, 9 s"
    """
    total = Counter(_kind(name) for name in names)
    left = Counter(total)

    def arrived(name: str, seconds: float) -> None:
        kind = _kind(name)
        left[kind] -= 1
        if not left[kind]:
            note(f"started: {total[kind]} x {kind}, {seconds:.0f} s")

    return arrived


def _kind(name: str) -> str:
    return name.rpartition(" ")[0]
