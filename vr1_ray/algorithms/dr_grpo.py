"""Dr. GRPO (arXiv 2503.20783): GRPO without the division by the group's standard deviation.

Its other half, no division by each response's length, is an aggregation: `loss_aggregation: constant_length` with
`loss_length` the longest budget, as in the paper's Listing 1 (the sum over a response's tokens divided by the generation
budget, then the mean over responses). "token_mean" is not that: it divides by the tokens of the update at hand, so that the same response weighs
less in an update of long ones.
"""

from vr1_ray.algorithms.advantages import group_centred
from vr1_ray.algorithms.base import with_advantages
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.types import RolloutGroup


class DrGrpo(Grpo):
    """GRPO's loss with advantages that are only centred."""

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """A_i = r_i - mean over each group."""
        return [with_advantages(group, group_centred(self.rewards_G(group))) for group in groups]
