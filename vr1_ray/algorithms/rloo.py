"""RLOO (arXiv 2402.14740): the baseline of a response is the mean reward of the others of its group."""

from vr1_ray.algorithms.advantages import leave_one_out
from vr1_ray.algorithms.base import with_advantages
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.types import RolloutGroup


class Rloo(Grpo):
    """GRPO's clipped loss with leave-one-out advantages."""

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """A_i = r_i - mean of the other rewards, over each group."""
        return [with_advantages(group, leave_one_out(self.rewards_G(group))) for group in groups]
