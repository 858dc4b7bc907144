"""GRPO with the k3 KL term in the loss: Vision-R1, arXiv 2503.06749, Eq. 1 and 2, per token.

Its kin derive from `Grpo` and put one thing in place of its own: what a response is worth (`assign_advantages`), the
ratio (`ratio`), or what becomes of the two (`policy_loss`). KL, entropy and importance weight are the same for all.
"""

import torch

from vr1_ray.algorithms.advantages import group_normalised
from vr1_ray.algorithms.base import Algorithm, TokenBatch, with_advantages
from vr1_ray.algorithms.losses import (
    KL_ESTIMATORS,
    clipped_surrogate,
    entropy_bonus,
    importance_weight,
    probability_ratio,
    row_sums,
)
from vr1_ray.config import AlgorithmConfig
from vr1_ray.types import RolloutGroup

Sums = dict[str, torch.Tensor]


class Grpo(Algorithm):
    """Advantages normalised in each group; clipped surrogate plus `kl_coef` times the KL, less `entropy_coef` times
    the entropy.

    Example:
        Grpo(AlgorithmConfig(clip_low=0.2, clip_high=0.2, kl_coef=0.01))
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        super().__init__(config)
        self.needs_entropy_gradient = config.entropy_coef > 0

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """A_i = (r_i - mean) / std over each group."""
        return [with_advantages(group, group_normalised(self.rewards_G(group))) for group in groups]

    def ratio(self, tokens: TokenBatch) -> torch.Tensor:
        """rho of each token [N], with its gradient."""
        return probability_ratio(tokens.logprobs_N, tokens.old_logprobs_N)

    def policy_loss(self, ratio_N: torch.Tensor, tokens: TokenBatch) -> tuple[torch.Tensor, Sums]:
        """The clipped surrogate [N], with the sum of `clip_fraction`."""
        loss_N, clipped_N = clipped_surrogate(
            ratio_N,
            tokens.advantages_N,
            clip_low=self.config.clip_low,
            clip_high=self.config.clip_high,
            dual_clip=self.config.dual_clip,
        )
        return loss_N, {"clip_fraction": clipped_N.to(ratio_N.dtype).sum()}

    def loss(self, tokens: TokenBatch) -> tuple[torch.Tensor, Sums]:
        """Policy loss, weighted, + kl_coef * KL - entropy_coef * entropy; sums of ratio, entropy, kl and its own."""
        ratio_N = self.ratio(tokens)
        loss_N, sums = self.policy_loss(ratio_N, tokens)
        sums |= {"ratio": ratio_N.detach().sum(), "entropy": tokens.entropy_N.detach().sum()}
        if self.needs_rollout_logprobs:
            weight_N, own = self._importance(tokens)
            loss_N = loss_N * weight_N
            sums |= own
        sums["kl"] = ratio_N.new_zeros(())
        if tokens.ref_logprobs_N is not None:
            estimate = KL_ESTIMATORS[self.config.kl_estimator]
            kl_N = estimate(tokens.logprobs_N, tokens.ref_logprobs_N)
            sums["kl"] = kl_N.detach().sum()
            if not self.kl_in_reward:
                loss_N = loss_N + self.config.kl_coef * kl_N
        if self.needs_entropy_gradient:
            loss_N = loss_N + entropy_bonus(tokens.entropy_N, entropy_coef=self.config.entropy_coef)
        return loss_N, sums

    def _importance(self, tokens: TokenBatch) -> tuple[torch.Tensor, Sums]:
        """What a token weighs because the engine that drew it is not quite the trainer's pi_old."""
        assert tokens.rollout_logprobs_N is not None
        log_ratio_N = tokens.old_logprobs_N - tokens.rollout_logprobs_N
        if self.config.importance_level == "sequence":
            log_ratio_N = row_sums(log_ratio_N, tokens.row_index_N)
        weight_N, capped_N = importance_weight(log_ratio_N, cap=self.config.importance_cap)
        return weight_N, {
            "importance/weight": weight_N.sum(),
            "importance/capped": capped_N.to(weight_N.dtype).sum(),
        }
