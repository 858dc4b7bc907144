"""Losses per token: pure functions on tensors of shape [N], the response tokens of a micro-batch.

Signs are those of a loss: lower is better. How tokens are averaged is not decided here.
"""

from collections.abc import Callable

import torch

KL_LIMIT = (
    10.0  # clamp of the log-ratio and of the KL per token: one far token must not rule a batch
)


def probability_ratio(logprobs_N: torch.Tensor, old_logprobs_N: torch.Tensor) -> torch.Tensor:
    """rho = pi(o) / pi_old(o), per token: arXiv 2503.06749, Eq. 1."""
    return torch.exp(logprobs_N - old_logprobs_N)


def row_sums(values_N: torch.Tensor, row_index_N: torch.Tensor) -> torch.Tensor:
    """The sum over the tokens of each row, [N]: every token has that of its own. Rows are whole in a micro-batch."""
    sums_B = values_N.new_zeros(int(row_index_N.max()) + 1).index_add(0, row_index_N, values_N)
    return sums_B[row_index_N]


def sequence_ratio(
    logprobs_N: torch.Tensor, old_logprobs_N: torch.Tensor, row_index_N: torch.Tensor
) -> torch.Tensor:
    """s = (pi(o) / pi_old(o))^(1/|o|) of the whole response, at each of its tokens: GSPO, arXiv 2507.18071, Eq. 7."""
    sums_N = row_sums(logprobs_N - old_logprobs_N, row_index_N)
    return torch.exp(sums_N / row_sums(torch.ones_like(sums_N), row_index_N))


def clipped_surrogate(
    ratio_N: torch.Tensor,
    advantages_N: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """-min(rho A, clip(rho, 1 - low, 1 + high) A): arXiv 2503.06749, Eq. 1 (there both are 0.2).

    With `dual_clip` c above 0 it is at most -c A where A < 0: max(min(...), c A) of arXiv 1912.09729, there c = 3.
    Returns the loss, and a mask of the tokens whose gradient a clip takes away.
    """
    free_N = ratio_N * advantages_N
    clipped_N = torch.clamp(ratio_N, 1.0 - clip_low, 1.0 + clip_high) * advantages_N
    gain_N, is_clipped_N = torch.minimum(free_N, clipped_N), clipped_N < free_N
    if dual_clip > 0:
        is_far_N = (advantages_N < 0) & (ratio_N > dual_clip)
        gain_N = torch.where(is_far_N, dual_clip * advantages_N, gain_N)
        is_clipped_N = is_clipped_N | is_far_N
    return -gain_N, is_clipped_N


def clipped_weight_loss(
    ratio_N: torch.Tensor,
    logprobs_N: torch.Tensor,
    advantages_N: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """-sg(clip(rho, 1 - low, 1 + high)) A log pi: CISPO, arXiv 2506.13585, Eq. 4 and 5. No token loses its gradient.

    Returns the loss, and a mask of the tokens whose weight was clipped.
    """
    free_N = ratio_N.detach()
    weight_N = torch.clamp(free_N, 1.0 - clip_low, 1.0 + clip_high)
    return -weight_N * advantages_N * logprobs_N, weight_N != free_N


def soft_gate(
    ratio_N: torch.Tensor, advantages_N: torch.Tensor, *, tau_positive: float, tau_negative: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """-sigmoid(tau (rho - 1)) 4 / tau A, tau by the sign of A: SAPO, arXiv 2511.20347, section 3.

    Returns the loss, and what the gate leaves of each token's gradient: 4 p (1 - p) of p the sigmoid, 1 where rho is 1.
    """
    tau_N = torch.where(advantages_N > 0, tau_positive, tau_negative).to(ratio_N.dtype)
    gate_N = torch.sigmoid(tau_N * (ratio_N - 1.0))
    return -gate_N * 4.0 / tau_N * advantages_N, (4.0 * gate_N * (1.0 - gate_N)).detach()


def importance_weight(
    log_ratio_N: torch.Tensor, *, cap: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """min(pi_trainer / pi_engine, cap), without gradient: truncated importance sampling (Ionides 2008, Eq. 2).

    `log_ratio_N` is of each token, or of its whole response (`row_sums`). Returns the weight, and a mask of where it was cut.
    """
    weight_N = torch.exp(log_ratio_N.detach())
    return torch.clamp(weight_N, max=cap), weight_N > cap


def k1_kl(logprobs_N: torch.Tensor, ref_logprobs_N: torch.Tensor) -> torch.Tensor:
    """D_KL = log(pi/pi_ref), per token: unbiased, of either sign (k1 of http://joschu.net/blog/kl-approx.html).

    In a loss its gradient is that of log pi, which is 0 on average: it is meant for rewards. Clamped to [-10, 10].
    """
    return torch.clamp(logprobs_N - ref_logprobs_N, -KL_LIMIT, KL_LIMIT)


def k2_kl(logprobs_N: torch.Tensor, ref_logprobs_N: torch.Tensor) -> torch.Tensor:
    """D_KL = (log(pi/pi_ref))^2 / 2, per token: biased, its gradient is not (k2, as above). At most 10."""
    return torch.clamp(0.5 * (logprobs_N - ref_logprobs_N) ** 2, max=KL_LIMIT)


def k3_kl(logprobs_N: torch.Tensor, ref_logprobs_N: torch.Tensor) -> torch.Tensor:
    """D_KL = pi_ref/pi - log(pi_ref/pi) - 1, per token: arXiv 2503.06749, Eq. 2 (the k3 estimator).

    Never negative, unbiased for samples of pi. The log-ratio is clamped to [-20, 20] so that exp stays
    finite, the estimate to [-10, 10]: past either the token has no KL gradient.
    """
    log_ratio_N = torch.clamp(ref_logprobs_N - logprobs_N, -2 * KL_LIMIT, 2 * KL_LIMIT)
    return torch.clamp(torch.exp(log_ratio_N) - log_ratio_N - 1.0, -KL_LIMIT, KL_LIMIT)


KL_ESTIMATORS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "k1": k1_kl,
    "k2": k2_kl,
    "k3": k3_kl,
}


def cross_entropy(logprobs_N: torch.Tensor) -> torch.Tensor:
    """-log pi(o_t), per token: the loss of the cold start (arXiv 2503.06749, section 3.2)."""
    return -logprobs_N


def entropy_bonus(entropy_N: torch.Tensor, *, entropy_coef: float) -> torch.Tensor:
    """-c H(pi), per token: a policy that is less sure has the lower loss. EasyR1 of March 2025 had c = 1e-3."""
    return -entropy_coef * entropy_N
