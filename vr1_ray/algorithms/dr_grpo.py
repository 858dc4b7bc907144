"""Dr. GRPO (arXiv 2503.20783): GRPO without the division by the group's standard deviation.

Its other half, no division by each response's length, is the aggregation "token_mean" (up to a constant).
"""

from vr1_ray.algorithms.advantages import group_centred
from vr1_ray.algorithms.base import with_advantages
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.types import RolloutGroup


class DrGrpo(Grpo):
    """GRPO's loss with advantages that are only centred."""

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """A_i = r_i - mean over each group."""
        return [with_advantages(group, group_centred(group.rewards_G)) for group in groups]
