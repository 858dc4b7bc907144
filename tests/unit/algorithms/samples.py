"""Token batches and groups that the tests of algorithms share."""

import torch

from vr1_ray.algorithms import TokenBatch
from vr1_ray.types import Prompt, Rollout, RolloutGroup, Stage


def group(*rewards, lengths=None, rollout_logprobs=None, ref_logprobs=None) -> RolloutGroup:
    """A group with these rewards; responses of one token, or of `lengths`."""
    size = len(rewards)
    stage = Stage(number=1, max_response_tokens=8, group_size=size, steps=1)
    rollouts = tuple(
        Rollout(
            index=i,
            attempt=0,
            seed=i,
            status="finished",
            response_ids=(1,) * (lengths or [1] * size)[i],
            text="",
            reward=reward,
            rollout_logprobs=rollout_logprobs and rollout_logprobs[i],
            ref_logprobs=ref_logprobs and ref_logprobs[i],
        )
        for i, reward in enumerate(rewards)
    )
    return RolloutGroup(
        prompt=Prompt(prompt_id="p", question="?"),
        step=1,
        stage=stage,
        policy_version=0,
        prompt_ids=(1,),
        rollouts=rollouts,
    )


def advantages_of(groups) -> list[list[float]]:
    return [[rollout.advantage for rollout in one.rollouts] for one in groups]


def tokens(ratios, advantages, *, ref_shift=None, rows=None, engine_shift=None) -> TokenBatch:
    """Tokens whose ratio to pi_old is as given; one row, or that of `rows` for each token."""
    old = torch.full((len(ratios),), -1.0, dtype=torch.float64)
    logprobs = (old + torch.tensor(ratios, dtype=torch.float64).log()).requires_grad_()
    return TokenBatch(
        logprobs_N=logprobs,
        old_logprobs_N=old,
        ref_logprobs_N=None if ref_shift is None else logprobs.detach() + ref_shift,
        advantages_N=torch.tensor(advantages, dtype=torch.float64),
        entropy_N=torch.ones(len(ratios), dtype=torch.float64),
        row_index_N=torch.tensor(rows or [0] * len(ratios)),
        rollout_logprobs_N=None if engine_shift is None else old + torch.tensor(engine_shift),
    )
