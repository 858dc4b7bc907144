"""CISPO (MiniMax-M1, arXiv 2506.13585, Eq. 4 and 5): the clipped ratio is only a weight of the policy gradient.

    algorithm: {name: cispo, clip_low: 1.0, clip_high: 4.0, kl_coef: 0}

So a token that the clip of GRPO silences still learns, with a bounded weight. The paper has no lower bound: `clip_low: 1.0`,
a ratio is never below 0. Its mean is over tokens, as `token_mean`. TRL's `epsilon_high: 5.0` is the bound itself, 1 + 4.
"""

import torch

from vr1_ray.algorithms.base import TokenBatch
from vr1_ray.algorithms.grpo import Grpo, Sums
from vr1_ray.algorithms.losses import clipped_weight_loss


class Cispo(Grpo):
    """-sg(clip(rho)) A log pi, with GRPO's advantages."""

    def policy_loss(self, ratio_N: torch.Tensor, tokens: TokenBatch) -> tuple[torch.Tensor, Sums]:
        """The weighted policy gradient's loss [N]; `clip_fraction` counts weights that were clipped."""
        loss_N, clipped_N = clipped_weight_loss(
            ratio_N,
            tokens.logprobs_N,
            tokens.advantages_N,
            clip_low=self.config.clip_low,
            clip_high=self.config.clip_high,
        )
        return loss_N, {"clip_fraction": clipped_N.to(ratio_N.dtype).sum()}
