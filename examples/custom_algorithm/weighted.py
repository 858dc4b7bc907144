"""W-REINFORCE (arXiv 2506.01347): what went wrong teaches more than what went right, so the latter counts a tenth.

python examples/custom_algorithm/weighted.py      # what GRPO and it make of four responses; no engine, no GPU
"""

import torch

from vr1_ray.algorithms import TokenBatch, make_algorithm
from vr1_ray.algorithms.base import with_advantages
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.config import AlgorithmConfig
from vr1_ray.types import Prompt, Rollout, RolloutGroup, Stage


class Weighted(Grpo):
    """GRPO's loss with +positive_weight for a reward above 0.5 and -1 for the others, not compared with each other."""

    def __init__(self, config: AlgorithmConfig, *, positive_weight: float = 0.1) -> None:
        super().__init__(config)
        self.positive_weight = positive_weight

    def assign_advantages(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        return [
            with_advantages(
                group, [self.positive_weight if r > 0.5 else -1.0 for r in self.rewards_G(group)]
            )
            for group in groups
        ]


def main() -> None:
    """Prints advantage, loss and gradient of one token of each response, half as probable again as when it was drawn."""
    print("algorithm  reward  advantage  loss    gradient")
    for name in ("grpo", f"{__file__}:Weighted"):
        algorithm = make_algorithm(AlgorithmConfig(name=name, kl_coef=0.0))
        [group] = algorithm.assign_advantages([hand_made_group(1.0, 0.0, 0.0, 0.0)])
        advantages = torch.tensor([rollout.advantage for rollout in group.rollouts])
        logprobs = torch.log(torch.full((4,), 0.3)).requires_grad_()
        tokens = TokenBatch(
            logprobs_N=logprobs,
            old_logprobs_N=torch.log(torch.full((4,), 0.2)),
            ref_logprobs_N=None,
            advantages_N=advantages,
            entropy_N=torch.ones(4),
            row_index_N=torch.arange(4),
        )
        loss_N, _ = algorithm.loss(tokens)
        [gradient_N] = torch.autograd.grad(loss_N.sum(), logprobs)
        for numbers in zip(group.rewards_G, advantages, loss_N.detach(), gradient_N, strict=True):
            reward, advantage, loss, gradient = map(float, numbers)
            print(
                f"{name.rpartition(':')[2]:10} {reward:<7.1f} {advantage:<10.2f} {loss:<7.2f} {gradient:.2f}"
            )


def hand_made_group(*rewards: float) -> RolloutGroup:
    """A group of one-token responses with these rewards."""
    return RolloutGroup(
        prompt=Prompt(prompt_id="p", question="?"),
        step=1,
        stage=Stage(number=1, max_response_tokens=8, group_size=len(rewards), steps=1),
        policy_version=0,
        prompt_ids=(1,),
        rollouts=tuple(
            Rollout(
                index=index,
                attempt=0,
                seed=index,
                status="finished",
                response_ids=(2,),
                text="",
                reward=reward,
            )
            for index, reward in enumerate(rewards)
        ),
    )


if __name__ == "__main__":
    main()
