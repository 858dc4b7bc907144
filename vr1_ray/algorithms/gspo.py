"""GSPO (arXiv 2507.18071, Eq. 5 to 7): one ratio for a whole response, and so one clip.

    algorithm: {name: gspo, clip_low: 3.0e-4, clip_high: 4.0e-4, kl_coef: 0, loss_aggregation: sequence_mean}

These are the paper's bounds (section 5.1): a mean of log-ratios moves much less than each of them. The paper's mean is over
responses; token_mean lets long ones weigh more. It differs from GRPO only where the policy has moved away from pi_old: with
`trainer.mini_batches_per_step` above 1, or `old_logprobs: rollout`.
"""

import torch

from vr1_ray.algorithms.base import TokenBatch
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.algorithms.losses import sequence_ratio


class Gspo(Grpo):
    """GRPO's clipped loss with s = (pi(o) / pi_old(o))^(1/|o|) for rho."""

    def ratio(self, tokens: TokenBatch) -> torch.Tensor:
        """s of each token's response [N]."""
        return sequence_ratio(tokens.logprobs_N, tokens.old_logprobs_N, tokens.row_index_N)
