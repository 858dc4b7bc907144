"""DAPO's loss (arXiv 2503.14476, Eq. 8): GRPO that clips higher than lower, averages over tokens and has no KL term.

    algorithm: {name: dapo, clip_low: 0.2, clip_high: 0.28, kl_coef: 0, skip_uninformative_groups: true}
    rewards: [{name: hard_format}, {name: length_shaping}]

The second reward is its overlong shaping (Eq. 13). Of its dynamic sampling (Eq. 11) groups of equal rewards are left out;
that others are drawn in their place, until the batch is full, is not in it.
"""

from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.config import AlgorithmConfig


class Dapo(Grpo):
    """GRPO held to DAPO's settings.

    Example:
        Dapo(AlgorithmConfig(clip_low=0.2, clip_high=0.28, kl_coef=0.0))
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        """Raises ValueError for settings that make it another algorithm."""
        super().__init__(config)
        cures = []
        if config.clip_high <= config.clip_low:
            cures.append(f"algorithm.clip_high above clip_low {config.clip_low:g}, such as 0.28")
        if config.kl_coef:
            cures.append("algorithm.kl_coef=0")
        if config.loss_aggregation != "token_mean":
            cures.append("algorithm.loss_aggregation=token_mean")
        if cures:
            raise ValueError(
                "algorithm.name='dapo' clips higher than lower, averages over tokens and has no KL term (arXiv 2503.14476, "
                f"Eq. 8); set {', '.join(cures)}, or take grpo."
            )
