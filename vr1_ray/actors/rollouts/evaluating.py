"""Evaluation through the run's engines, group by group: what is answered can be kept before all are."""

import time
from collections.abc import Iterator
from dataclasses import replace

from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec, Stage

EVALUATION_STEP = -1  # seeds and queues of an evaluation never meet those of a training step


def evaluate_each(
    pool: RolloutPool, prompts: list[Prompt], spec: SamplingSpec, *, attempt: int = 0
) -> Iterator[RolloutGroup]:
    """One group a prompt, not scored, outside any stage, in the order in which they end.

    `attempt` 1, 2 ... samples the same prompts with other seeds. Raises ActorTimeoutError if no group ends within
    the pool's time limit. A group that ended meanwhile is kept for the next call of `next`.
    """
    step = EVALUATION_STEP - attempt
    outside = Stage(
        number=0,
        max_response_tokens=spec.max_response_tokens,
        group_size=spec.group_size,
        steps=0,
    )
    if not prompts:
        return
    pool.submit(prompts, spec, outside, step, is_scored=False)
    groups = pool.steps[step].groups
    given: set[int] = set()
    while len(given) < len(prompts):
        for order in [order for order in groups if order not in given]:
            group = groups[order]
            assert group is not None, "only groups that are scored can be dropped"
            given.add(order)
            groups[order] = replace(group, rollouts=())  # its responses are the caller's now
            yield group
        if len(given) < len(prompts):
            pool._advance(step, time.monotonic() + pool.timeout_seconds)
    del pool.steps[step]
