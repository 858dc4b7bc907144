"""Settings of the algorithm: what turns rewards into a loss."""

from dataclasses import dataclass, field
from typing import Any, Literal

from vr1_ray.config.ranges import CountFrom0, From0, Share


@dataclass
class AlgorithmConfig:
    """What turns rewards into a loss (Vision-R1, Eq. 1 and 2)."""

    name: str = "grpo"  # a row of vr1_ray/algorithms, or package.module:Name
    clip_low: Share = 0.2  # ratios of new to old probability count down to 1 - clip_low
    clip_high: From0 = 0.2  # ratios of new to old probability count up to 1 + clip_high
    # Above 0: a ratio counts at most this where the advantage is negative (dual clip, arXiv 1912.09729, there 3); 0: no bound.
    dual_clip: From0 = 0.0
    kl_coef: From0 = 0.01  # weight of the KL from the reference; 0 starts no reference actors
    # How a token's KL is estimated, joschu.net/blog/kl-approx.html: k3 and k2 are never negative. k1 is for rewards: in the loss
    # it draws nowhere, its gradient is 0 on average.
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    # loss: a term of each token. reward: kl_coef times a response's sum is taken off its reward before advantages are made; so
    # the reference scores all groups, not only those trained on, and a group of equal rewards is compared by KL alone: with
    # advantages divided by the group's deviation (grpo) set skip_uninformative_groups.
    kl_in: Literal["loss", "reward"] = "loss"
    # Weight of an entropy bonus; above 0 it costs a part of the backward pass.
    entropy_coef: From0 = 0.0
    # token_mean: over all response tokens of an update. sequence_mean: over each response, then over responses.
    # constant_length: each response's sum by `loss_length`, then over responses, as Dr. GRPO (arXiv 2503.20783) does.
    loss_aggregation: Literal["token_mean", "sequence_mean", "constant_length"] = "token_mean"
    loss_length: CountFrom0 = (
        0  # tokens; constant_length needs it, such as the longest stage's budget
    )
    old_logprobs: Literal["trainer", "rollout"] = "trainer"  # who computed pi_old
    # Above 0: the loss is weighted by min(pi_old / engine's probability, importance_cap), which mends what engine and trainer
    # compute differently (truncated importance sampling; 2 is usual); at least 1. 0: no weight.
    importance_cap: From0 = 0.0
    importance_level: Literal["token", "sequence"] = "token"  # a weight a token, or their product
    # Leave out groups whose rewards are all equal: they have no advantage, only the KL term, and cost as much
    # as the others. The mean is then over the tokens of the groups that stay (as in DAPO, arXiv 2503.14476).
    skip_uninformative_groups: bool = False
    options: dict[str, Any] = field(default_factory=dict)  # keyword arguments of the algorithm
