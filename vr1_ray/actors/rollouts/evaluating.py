"""Groups one by one, as they end: an evaluation's, not scored, or a filter's, scored. What is answered can be kept
before all are."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec, Stage

EVALUATION_STEP = -1  # seeds and queues of an evaluation never meet those of a training step


def evaluate_each(
    pool: RolloutPool, prompts: list[Prompt], spec: SamplingSpec, *, attempt: int = 0
) -> Iterator[RolloutGroup]:
    """One group a prompt, not scored, outside any stage, in the order in which they end.

    `attempt` 1, 2 ... samples the same prompts with other seeds. Raises ActorTimeoutError if no group ends within
    the pool's time limit. A group that ended meanwhile is kept for the next call of `next`. A group's
    prompt is the one that was given.
    """
    found = sample_each(
        pool,
        prompts,
        spec,
        step=EVALUATION_STEP - attempt,
        at_once=len(prompts),  # so that no engine waits; a picture goes out with its request
        is_scored=False,
        stage_number=0,
    )
    for prompt, group in found:
        assert group is not None, "only groups that are scored can be dropped"
        yield replace(group, prompt=prompt)


def sample_each(
    pool: RolloutPool,
    prompts: Sequence[Prompt],
    spec: SamplingSpec,
    *,
    at_once: int,
    step: int = 0,
    is_scored: bool = True,
    stage_number: int = 1,
) -> Iterator[tuple[Prompt, RolloutGroup | None]]:
    """One group a prompt, in the order in which they end; None for one that no reward could be found for.

    At most `at_once` prompts are handed to the pool: its queue, and the pictures in the object store, stay small.
    Raises ActorTimeoutError as above, InvalidRolloutsError as `RolloutPool.collect` does.
    """
    stage = Stage(
        number=stage_number,
        max_response_tokens=spec.max_response_tokens,
        group_size=spec.group_size,
        steps=0,
    )
    submitted = given = 0
    while given < len(prompts):
        room = at_once - (submitted - given)
        if room > 0 and submitted < len(prompts):
            more = list(prompts[submitted : submitted + room])
            pool.submit(more, spec, stage, step, is_scored=is_scored)
            submitted += len(more)
        groups = pool.steps[step].groups
        if not groups:
            pool._advance(step, time.monotonic() + pool.timeout_seconds)
        for order in list(groups):
            given += 1
            yield prompts[order], groups.pop(order)  # its responses are the caller's now
    pool.steps.pop(step, None)
