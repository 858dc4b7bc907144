"""REINFORCE++ (arXiv 2501.03262, section 3): advantages normalised over the whole step, not in each group.

    algorithm: {name: reinforce_plus_plus, kl_in: reward, kl_estimator: k1}
    algorithm: {name: reinforce_plus_plus_baseline, kl_in: loss, kl_estimator: k2}

The baseline form first takes off each group's mean. The KL in a reward is that of the whole response; the paper's token at t
has that from t on, which is the same on average, with less noise.
"""

from vr1_ray.algorithms.advantages import group_centred, step_normalised
from vr1_ray.algorithms.base import with_advantages
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.types import RolloutGroup


class ReinforcePlusPlus(Grpo):
    """GRPO's clipped loss; A_i = (r_i - mean) / std over the response tokens of the step."""

    def values_G(self, group: RolloutGroup) -> list[float]:
        """What is normalised: the rewards."""
        return self.rewards_G(group)

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """Normalised over all groups together, with the tokens of responses as weights."""
        values_B = [value for group in groups for value in self.values_G(group)]
        lengths_B = [rollout.num_tokens for group in groups for rollout in group.rollouts]
        found = iter(step_normalised(values_B, lengths_B))
        return [with_advantages(group, [next(found) for _ in group.rollouts]) for group in groups]


class ReinforcePlusPlusBaseline(ReinforcePlusPlus):
    """The same with r_i - mean of the group in place of r_i: for groups of several responses to a prompt."""

    def values_G(self, group: RolloutGroup) -> list[float]:
        """What is normalised: the rewards less the group's mean."""
        return group_centred(self.rewards_G(group))
