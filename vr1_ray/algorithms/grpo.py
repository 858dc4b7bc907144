"""GRPO with the k3 KL term in the loss: Vision-R1, arXiv 2503.06749, Eq. 1 and 2, per token."""

import torch

from vr1_ray.algorithms.advantages import group_normalised
from vr1_ray.algorithms.base import Algorithm, TokenBatch, with_advantages
from vr1_ray.algorithms.losses import (
    clipped_surrogate,
    entropy_bonus,
    k3_kl,
    probability_ratio,
)
from vr1_ray.config import AlgorithmConfig
from vr1_ray.types import RolloutGroup


class Grpo(Algorithm):
    """Advantages normalised in each group; clipped surrogate plus `kl_coef` times the k3 KL, less `entropy_coef` times
    the entropy.

    Example:
        Grpo(AlgorithmConfig(clip_low=0.2, clip_high=0.2, kl_coef=0.01))
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        super().__init__(config)
        self.needs_entropy_gradient = config.entropy_coef > 0

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """A_i = (r_i - mean) / std over each group."""
        return [with_advantages(group, group_normalised(group.rewards_G)) for group in groups]

    def loss(self, tokens: TokenBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Clipped surrogate + kl_coef * k3 - entropy_coef * entropy, with the sums of ratio, clip_fraction, entropy and kl."""
        ratio_N = probability_ratio(tokens.logprobs_N, tokens.old_logprobs_N)
        loss_N, clipped_N = clipped_surrogate(
            ratio_N,
            tokens.advantages_N,
            clip_low=self.config.clip_low,
            clip_high=self.config.clip_high,
        )
        sums = {
            "ratio": ratio_N.detach().sum(),
            "clip_fraction": clipped_N.to(ratio_N.dtype).sum(),
            "entropy": tokens.entropy_N.detach().sum(),
        }
        if tokens.ref_logprobs_N is not None:
            kl_N = k3_kl(tokens.logprobs_N, tokens.ref_logprobs_N)
            loss_N = loss_N + self.config.kl_coef * kl_N
            sums["kl"] = kl_N.detach().sum()
        else:
            sums["kl"] = ratio_N.new_zeros(())
        if self.needs_entropy_gradient:
            loss_N = loss_N + entropy_bonus(tokens.entropy_N, entropy_coef=self.config.entropy_coef)
        return loss_N, sums
