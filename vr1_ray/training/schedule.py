"""The learning rate as a function of the update number and of the horizon it was planned for; both are in the checkpoint.

A run that is resumed with another length gets no other rate at that moment: after warm-up a cosine goes on from where it
is, down to 0 at the new end. One that was done, so at 0, and gets a further stage rises to what the rate would be had the
run been that long from the start.
"""

import math
from dataclasses import dataclass, replace

from vr1_ray.config import OptimizerConfig

RISE = 0.1  # share of the updates that are left in which a run that was done rises again


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """What a cosine ends at and where it began: by the number of updates, counted from 0.

    `share` is the rate at `since`, as a share of the peak; 0.0 there is a run that was done and rises again.

    Example:
        first_horizon(OptimizerConfig(schedule="cosine", warmup_ratio=0.05), 200)   # 200 updates, 10 of warm-up
    """

    total: int
    warmup: int  # as the run began with; a longer run doesn't warm up again
    since: int = 0
    share: float = 1.0


def first_horizon(config: OptimizerConfig, total_updates: int) -> Horizon:
    """Of a run that begins."""
    return Horizon(total=total_updates, warmup=math.ceil(config.warmup_ratio * total_updates))


def resumed_horizon(
    config: OptimizerConfig, saved: Horizon, update: int, total_updates: int
) -> Horizon:
    """Of a run that goes on with `update`, maybe to another end than it was saved for.

    Example:
        half = resumed_horizon(config, saved, 50, 200)    # saved for 100 updates, so at 0.5 of the peak
        learning_rate(config, 50, half) == 0.5 * config.lr
    """
    if total_updates == saved.total:
        return saved
    if update < saved.warmup:
        return replace(saved, total=total_updates)
    share = 0.0 if update >= saved.total else _cosine_share(saved, update)
    return replace(saved, total=total_updates, since=update, share=share)


def learning_rate(config: OptimizerConfig, update: int, horizon: Horizon) -> float:
    """Learning rate of update `update` (from 0): linear warm-up, then constant or cosine to zero.

    Example:
        config = OptimizerConfig(lr=1e-5, schedule="cosine", warmup_ratio=0.1)
        learning_rate(config, 0, first_horizon(config, 100))  # 1e-6
    """
    if update < horizon.warmup:
        return config.lr * (update + 1) / horizon.warmup
    if config.schedule == "constant":
        return config.lr
    return config.lr * _cosine_share(horizon, update)


def _cosine_share(horizon: Horizon, update: int) -> float:
    if horizon.share == 0.0:
        rise = max(1, math.ceil(RISE * (horizon.total - horizon.since)))
        whole = replace(horizon, since=0, share=1.0)
        return min(1.0, (update - horizon.since + 1) / rise) * _cosine_share(whole, update)
    start = max(horizon.since, horizon.warmup)
    progress = min(1.0, (update - start) / max(1, horizon.total - start))
    return horizon.share * 0.5 * (1.0 + math.cos(math.pi * progress))
