"""Losses per token: pure functions on tensors of shape [N], the response tokens of a micro-batch.

Signs are those of a loss: lower is better. How tokens are averaged is not decided here.
"""

import torch

KL_LIMIT = (
    10.0  # clamp of the log-ratio and of the KL per token: one far token must not rule a batch
)


def probability_ratio(logprobs_N: torch.Tensor, old_logprobs_N: torch.Tensor) -> torch.Tensor:
    """rho = pi(o) / pi_old(o), per token: arXiv 2503.06749, Eq. 1."""
    return torch.exp(logprobs_N - old_logprobs_N)


def clipped_surrogate(
    ratio_N: torch.Tensor, advantages_N: torch.Tensor, *, clip_low: float, clip_high: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """-min(rho A, clip(rho, 1 - low, 1 + high) A): arXiv 2503.06749, Eq. 1 (there both are 0.2).

    Returns the loss, and a mask of the tokens whose gradient the clip takes away.
    """
    free_N = ratio_N * advantages_N
    clipped_N = torch.clamp(ratio_N, 1.0 - clip_low, 1.0 + clip_high) * advantages_N
    return -torch.minimum(free_N, clipped_N), clipped_N < free_N


def k3_kl(logprobs_N: torch.Tensor, ref_logprobs_N: torch.Tensor) -> torch.Tensor:
    """D_KL = pi_ref/pi - log(pi_ref/pi) - 1, per token: arXiv 2503.06749, Eq. 2 (the k3 estimator).

    Never negative, unbiased for samples of pi. The log-ratio is clamped to [-20, 20] so that exp stays
    finite, the estimate to [-10, 10]: past either the token has no KL gradient.
    """
    log_ratio_N = torch.clamp(ref_logprobs_N - logprobs_N, -2 * KL_LIMIT, 2 * KL_LIMIT)
    return torch.clamp(torch.exp(log_ratio_N) - log_ratio_N - 1.0, -KL_LIMIT, KL_LIMIT)


def cross_entropy(logprobs_N: torch.Tensor) -> torch.Tensor:
    """-log pi(o_t), per token: the loss of the cold start (arXiv 2503.06749, section 3.2)."""
    return -logprobs_N


def entropy_bonus(entropy_N: torch.Tensor, *, entropy_coef: float) -> torch.Tensor:
    """-c H(pi), per token: a policy that is less sure has the lower loss. EasyR1 of March 2025 had c = 1e-3."""
    return -entropy_coef * entropy_N
