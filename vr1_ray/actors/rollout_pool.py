"""The rollout pool: prompts go to the least loaded engine, and each group is scored as it ends.

Runs on the driver, between the loop's `submit` and `collect`. Only object refs pass through here
until a group is scored; an image crosses to a node once per prompt, as the bytes of its file.
"""

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import ray

from vr1_ray.actors.waiting import ActorTimeoutError, take
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec, Stage


@dataclass(frozen=True, kw_only=True)
class GroupRequest:
    """One group to sample: what an engine is asked for."""

    order: int  # place in the step, so that groups come back in prompt order
    prompt: Prompt
    prompt_ref: Any
    spec: SamplingSpec
    stage: Stage
    step: int

    @property
    def load(self) -> int:
        """Upper bound of the tokens this request makes an engine decode."""
        return self.spec.group_size * self.spec.max_response_tokens


class RolloutPool:
    """Dispatches requests over engines and reward actors and collects scored groups.

    Example:
        pool.submit(prompts, spec, stage, step)
        groups = pool.collect(step)      # scored, in prompt order
    """

    def __init__(
        self,
        engines: list[Any],
        rewards: list[Any],
        *,
        max_concurrent_responses: int,
        timeout_seconds: float,
    ) -> None:
        self.engines = engines
        self.rewards = rewards
        self.max_concurrent_responses = max_concurrent_responses
        self.timeout_seconds = timeout_seconds
        self.waiting: deque[GroupRequest] = deque()
        self.generating: dict[Any, tuple[GroupRequest, int]] = {}  # ref -> request, engine
        self.scoring: dict[Any, tuple[GroupRequest, int]] = {}  # ref -> request, reward actor
        self.done: dict[int, dict[int, RolloutGroup]] = {}  # step -> order -> group
        self.expected: dict[int, int] = {}  # step -> number of groups

    def submit(self, prompts: list[Prompt], spec: SamplingSpec, stage: Stage, step: int) -> None:
        """Queue one group per prompt; those that engines have room for start at once."""
        for prompt in prompts:
            order = self.expected.get(step, 0)
            self.expected[step] = order + 1
            self.waiting.append(
                GroupRequest(
                    order=order,
                    prompt=prompt,
                    prompt_ref=ray.put(prompt),
                    spec=spec,
                    stage=stage,
                    step=step,
                )
            )
        self._dispatch()

    def collect(self, step: int) -> list[RolloutGroup]:
        """All groups of `step`, scored, in prompt order; rollouts of other steps go on meanwhile.

        Raises ActorTimeoutError naming what is missing, ActorError naming the actor that failed.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while len(self.done.get(step, {})) < self.expected.get(step, 0):
            self._advance(step, deadline)
        self.expected.pop(step, None)
        groups = self.done.pop(step, {})
        return [groups[order] for order in sorted(groups)]

    def _advance(self, step: int, deadline: float) -> None:
        """Wait for one event and react to it."""
        pending = [*self.scoring, *self.generating]
        limit = max(0.0, deadline - time.monotonic())
        ready, _ = ray.wait(pending, num_returns=1, timeout=limit, fetch_local=False)
        if not ready:
            missing = [
                request.prompt.prompt_id
                for request, _ in [*self.generating.values(), *self.scoring.values()]
            ]
            raise ActorTimeoutError(
                f"step {step}: {len(missing)} groups unfinished after {self.timeout_seconds:.0f} s, the first of "
                f"prompt {missing[:1]}; raise cluster.step_timeout_seconds if engines are only slow"
            )
        ref = ready[0]
        if ref in self.generating:
            self._score(ref)
        else:
            self._finish(ref)
        self._dispatch()

    def _dispatch(self) -> None:
        """Give waiting requests to the engine with the fewest tokens ahead of it."""
        loads = [0] * len(self.engines)
        responses = [0] * len(self.engines)
        for request, engine in self.generating.values():
            loads[engine] += request.load
            responses[engine] += request.spec.group_size
        while self.waiting:
            size = self.waiting[0].spec.group_size
            # An idle engine takes any group, also one larger than its limit.
            free = [
                index
                for index, count in enumerate(responses)
                if count == 0 or count + size <= self.max_concurrent_responses
            ]
            if not free:
                return
            chosen = min(free, key=lambda index: (loads[index], index))
            request = self.waiting.popleft()
            ref = self.engines[chosen].generate_group.remote(
                request.prompt_ref, request.spec, request.stage, request.step
            )
            self.generating[ref] = (request, chosen)
            loads[chosen] += request.load
            responses[chosen] += size

    def _score(self, ref: Any) -> None:
        """A group is sampled: hand its ref to the reward actor with the shortest queue."""
        request, _ = self.generating.pop(ref)
        queues = [0] * len(self.rewards)
        for _, reward in self.scoring.values():
            queues[reward] += 1
        chosen = min(range(len(self.rewards)), key=lambda index: (queues[index], index))
        scored = self.rewards[chosen].score_group.remote(ref, request.prompt_ref)
        self.scoring[scored] = (request, chosen)

    def _finish(self, ref: Any) -> None:
        request, reward = self.scoring.pop(ref)
        phase = f"sampling and scoring prompt {request.prompt.prompt_id} in step {request.step}"
        group: RolloutGroup = take(ref, actor=f"an engine or reward {reward}", phase=phase)
        self.done.setdefault(request.step, {})[request.order] = replace(
            group, prompt=request.prompt
        )
