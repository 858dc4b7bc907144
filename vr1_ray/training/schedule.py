"""The learning rate as a function of the update number, so that resuming needs no scheduler state."""

import math

from vr1_ray.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, update: int, total_updates: int) -> float:
    """Learning rate of update `update` (from 0): linear warm-up, then constant or cosine to zero.

    Example:
        learning_rate(OptimizerConfig(lr=1e-5, schedule="cosine", warmup_ratio=0.1), 0, 100)  # 1e-6
    """
    warmup = math.ceil(config.warmup_ratio * total_updates)
    if update < warmup:
        return config.lr * (update + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    progress = min(1.0, (update - warmup) / max(1, total_updates - warmup))
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * progress))
