"""SAPO (arXiv 2511.20347): a soft gate in place of the clip, narrower where the advantage is negative.

    algorithm: {name: sapo, kl_coef: 0, loss_aggregation: sequence_mean, options: {tau_positive: 1.0, tau_negative: 1.05}}

The gate's gradient is that of the plain policy gradient where rho is 1, and fades with |rho - 1|, the faster the larger tau.
As tau goes to 0 nothing fades. The temperatures are the paper's; its mean is over each response, then over responses.
"""

import math

import torch

from vr1_ray.algorithms.base import TokenBatch
from vr1_ray.algorithms.grpo import Grpo, Sums
from vr1_ray.algorithms.losses import soft_gate
from vr1_ray.config import AlgorithmConfig


class Sapo(Grpo):
    """-sigmoid(tau (rho - 1)) 4 / tau A, with GRPO's advantages; `clip_low` and `clip_high` are of no use to it.

    Example:
        Sapo(AlgorithmConfig(kl_coef=0.0), tau_positive=1.0, tau_negative=1.05)
    """

    def __init__(
        self, config: AlgorithmConfig, *, tau_positive: float = 1.0, tau_negative: float = 1.05
    ) -> None:
        """Raises ValueError for a temperature that is not a number above 0."""
        super().__init__(config)
        for name, tau in (("tau_positive", tau_positive), ("tau_negative", tau_negative)):
            is_number = isinstance(tau, (int, float)) and not isinstance(tau, bool)
            if not (is_number and math.isfinite(tau) and tau > 0):
                raise ValueError(
                    f"algorithm.options.{name}={tau!r}: give a number above 0; arXiv 2511.20347 has 1.0 and 1.05."
                )
        self.tau_positive = tau_positive
        self.tau_negative = tau_negative

    def policy_loss(self, ratio_N: torch.Tensor, tokens: TokenBatch) -> tuple[torch.Tensor, Sums]:
        """The gated loss [N]; `gate` is what the gate leaves of the gradient, 1 for a policy that has not moved."""
        loss_N, left_N = soft_gate(
            ratio_N,
            tokens.advantages_N,
            tau_positive=self.tau_positive,
            tau_negative=self.tau_negative,
        )
        return loss_N, {"gate": left_N.sum()}
