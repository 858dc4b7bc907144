"""What turns rewards into a loss: the `Algorithm` interface. It knows no model, no task and no Ray.

The trainer asks an algorithm for four things: what a response is worth (`assign_advantages`), what a
token costs (`loss`), how these costs are averaged (`aggregation`), and which log-probabilities it needs.
Weights, micro-batches, ranks and optimizers are the trainer's affair.

To add one, write one file and a row in `vr1_ray/algorithms/__init__.py`:

    class Reinforce(Algorithm):
        "Policy gradient with the reward itself as the advantage."

        def assign_advantages(self, groups):
            return [with_advantages(group, self.rewards_G(group)) for group in groups]

        def loss(self, tokens):
            return -tokens.advantages_N * tokens.logprobs_N, {"entropy": tokens.entropy_N.sum()}

`algorithm.options` of the YAML come as keyword arguments, `__init__(self, config, *, baseline=0.0)`; others are refused.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from vr1_ray.algorithms.advantages import is_informative
from vr1_ray.algorithms.losses import KL_ESTIMATORS
from vr1_ray.config import AlgorithmConfig
from vr1_ray.types import Rollout, RolloutGroup

Aggregation = Literal["token_mean", "sequence_mean", "constant_length"]


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """The N response tokens of one micro-batch, all rows one after the other.

    `logprobs_N` carries a gradient; `entropy_N`, the entropy of the distribution each token was drawn from,
    does so where the algorithm says `needs_entropy_gradient`. `row_index_N` says which row of the
    micro-batch a token belongs to; rows are whole in it. `rollout_logprobs_N`, the engine's, are there where the
    algorithm says `needs_rollout_logprobs`.

    Example:
        TokenBatch(logprobs_N=logprobs, old_logprobs_N=logprobs.detach(), ref_logprobs_N=None,
                   advantages_N=advantages, entropy_N=entropy, row_index_N=torch.tensor([0, 0, 1]))
    """

    logprobs_N: torch.Tensor
    old_logprobs_N: torch.Tensor
    ref_logprobs_N: torch.Tensor | None
    advantages_N: torch.Tensor
    entropy_N: torch.Tensor
    row_index_N: torch.Tensor
    rollout_logprobs_N: torch.Tensor | None = None


class Algorithm(ABC):
    """One algorithm, made from the `algorithm` section of the config.

    `aggregation`: "token_mean" divides the sum of token losses by the number of response tokens of the
    whole mini-batch; "sequence_mean" takes the mean over each response, then over responses; "constant_length" divides
    the sum over each response by `loss_length`, whatever its own length, and takes the mean over responses.
    `needs_reference`: whether groups must carry `ref_logprobs`; with `kl_in_reward` before they are given advantages.
    `needs_rollout_logprobs`: whether the loss asks for `rollout_logprobs_N`.
    `needs_entropy_gradient`: whether the loss has a term in `entropy_N`, which then carries a gradient.
    `old_logprobs`: who computed pi_old, the trainer before the step's first update or the engine.

    Example:
        algorithm = make_algorithm(config.algorithm)
        groups = algorithm.assign_advantages(groups)
        loss_N, sums = algorithm.loss(tokens)
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        self.config = config
        self.aggregation: Aggregation = config.loss_aggregation
        self.loss_length: int = config.loss_length
        self.old_logprobs: Literal["trainer", "rollout"] = config.old_logprobs
        self.needs_reference: bool = config.kl_coef > 0
        self.kl_in_reward: bool = config.kl_coef > 0 and config.kl_in == "reward"
        self.needs_rollout_logprobs: bool = config.importance_cap > 0
        self.needs_entropy_gradient: bool = False

    @abstractmethod
    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """The same groups, each rollout with its advantage. Pure; groups may differ in size."""

    def rewards_G(self, group: RolloutGroup) -> list[float]:
        """What advantages are made from: the rewards, less `kl_coef` times each response's KL with `kl_in: reward`.

        Raises ValueError for a rollout not scored yet, or without the log-probabilities that a KL needs.
        """
        if not self.kl_in_reward:
            return group.rewards_G
        kl_G = [response_kl(rollout, self.config.kl_estimator) for rollout in group.rollouts]
        return [r - self.config.kl_coef * kl for r, kl in zip(group.rewards_G, kl_G, strict=True)]

    def select(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """The groups to train on: all, or with `skip_uninformative_groups` those whose rewards differ.

        If those of no group do, all stay: the KL term is then all there is to learn from.
        """
        if not self.config.skip_uninformative_groups:
            return groups
        return [group for group in groups if is_informative(group.rewards_G)] or groups

    @abstractmethod
    def loss(self, tokens: TokenBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of each token [N], and metrics as sums over tokens, which the trainer divides."""


def with_advantages(group: RolloutGroup, advantages_G: Sequence[float]) -> RolloutGroup:
    """The group with one advantage per rollout, in order."""
    return group.with_rollouts(
        [
            replace(rollout, advantage=float(advantage))
            for rollout, advantage in zip(group.rollouts, advantages_G, strict=True)
        ]
    )


def response_kl(rollout: Rollout, estimator: str) -> float:
    """The KL of a response from the reference, in nats: the sum over its tokens, under the policy that sampled it.

    Raises ValueError for a rollout that lacks the log-probabilities of engine or reference.
    """
    if rollout.rollout_logprobs is None or rollout.ref_logprobs is None:
        raise ValueError(
            f"rollout {rollout.index}: the KL in its reward needs `rollout_logprobs` and `ref_logprobs`"
        )
    own_T, ref_T = (
        torch.tensor(logprobs, dtype=torch.float64)
        for logprobs in (rollout.rollout_logprobs, rollout.ref_logprobs)
    )
    return float(KL_ESTIMATORS[estimator](own_T, ref_T).sum())
