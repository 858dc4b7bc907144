"""Cross-entropy on response tokens: the cold start (Vision-R1, arXiv 2503.06749, section 3.2)."""

import torch

from vr1_ray.algorithms.base import Algorithm, TokenBatch
from vr1_ray.algorithms.losses import cross_entropy
from vr1_ray.config import AlgorithmConfig
from vr1_ray.types import RolloutGroup


class Sft(Algorithm):
    """Imitates demonstrations: needs neither rewards nor a reference policy.

    Example:
        Sft(AlgorithmConfig())
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        super().__init__(config)
        self.needs_reference = self.kl_in_reward = self.needs_rollout_logprobs = False
        self.old_logprobs = "trainer"  # there is no engine, whatever a recipe hands down

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """The groups as they are: a demonstration is not compared with others."""
        return groups

    def loss(self, tokens: TokenBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """-log pi of each token of the demonstrated response."""
        return cross_entropy(tokens.logprobs_N), {"entropy": tokens.entropy_N.detach().sum()}
