"""The rollout pool: prompts go to the least loaded engine, and each group is scored as it ends.

Runs on the driver, between the loop's `submit` and `collect`. Only object refs pass through here
until a group is scored; an image crosses to a node once per prompt, as the bytes of its file.

A rollout that no reward could be found for is drawn again with another seed (its next attempt); when the
attempts are used up its group is dropped and counted. A reward is never made up.

When an engine is lost, its requests go to the front of the queue as they were: the same attempt, so the
same seeds, on another engine. What the lost one may still answer is not looked at, so no group comes twice.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import ray

from vr1_ray.actors.rewards.reward_actor import InvalidReward
from vr1_ray.actors.rewards.reward_pool import RewardPool, ScoredGroup
from vr1_ray.actors.rollouts.engine import is_loss, least_loaded
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.invalid_rollouts import InvalidRollouts
from vr1_ray.actors.rollouts.sample_request import (
    SampleRequest,
    Sampling,
    ScoringGroup,
    StepBooks,
    with_reward,
)
from vr1_ray.actors.waiting import ActorError, ActorTimeoutError, put, take
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec, Stage

if TYPE_CHECKING:
    from vr1_ray.models import RenderedPrompt

MAX_LOSSES = 5  # engines that may be lost with one request; it may be what kills them
IDLE_SECONDS = 0.2  # a wait when nothing at all is under way


class RolloutPool:
    """Dispatches requests over engines and reward pools and collects scored groups.

    Example:
        pool.submit(prompts, spec, stage, step)
        groups = pool.collect(step)      # scored, in prompt order
        pool.last_metrics                # of that step: time/reward_exposed, invalid/...
    """

    def __init__(
        self,
        engines: EngineSet,
        reward_pools: list[RewardPool],
        *,
        max_concurrent_responses: int,
        timeout_seconds: float,
        invalid: InvalidRollouts,
        prepare: Callable[[list[Prompt]], list[Prompt]] = list,
    ) -> None:
        self.engines = engines
        self.reward_pools = reward_pools
        self.max_concurrent_responses = max_concurrent_responses
        self.timeout_seconds = timeout_seconds
        self.invalid = invalid
        self.prepare = prepare  # makes of prompts what actors are sent
        self.waiting: deque[SampleRequest] = deque()
        self.sampling: dict[Any, Sampling] = {}  # by the ref of the group to come
        self.scoring: dict[Any, ScoringGroup] = {}  # by the same
        self.steps: dict[int, StepBooks] = {}
        self.last_metrics: dict[str, float] = {}
        engines.is_busy = lambda engine: any(one.engine is engine for one in self.sampling.values())

    def submit(
        self,
        prompts: list[Prompt],
        spec: SamplingSpec,
        stage: Stage,
        step: int,
        *,
        is_scored: bool = True,
        rendered: "list[RenderedPrompt] | None" = None,
    ) -> None:
        """Queue one group per prompt; those that engines have room for start at once."""
        state = self.steps.setdefault(step, StepBooks())
        ids = rendered or repeat(None, len(prompts))
        for prompt, ready in zip(prompts, ids, strict=True):
            self.waiting.append(
                SampleRequest(
                    order=state.num_groups,
                    prompt=prompt,
                    prompt_ref=put(prompt, what=f"prompt {prompt.prompt_id}"),
                    rendered=ready,
                    spec=spec,
                    stage=stage,
                    step=step,
                    indices=tuple(range(spec.group_size)),
                    is_scored=is_scored and bool(self.reward_pools),
                )
            )
            state.num_groups += 1
            state.num_samples += spec.group_size
        self._dispatch()

    def collect(self, step: int) -> list[RolloutGroup]:
        """All groups of `step`, scored, in prompt order; rollouts of other steps go on meanwhile.

        Raises ActorTimeoutError naming what is missing, ActorError naming the actor that failed,
        InvalidRolloutsError if more samples than `invalid_rollouts` allows have no reward, or a broken one.
        """
        deadline = time.monotonic() + self.timeout_seconds
        state = self.steps[step]
        while len(state.groups) < state.num_groups:
            self._advance(step, deadline)
        del self.steps[step]
        self.last_metrics = state.metrics()
        found = [state.groups[order] for order in range(state.num_groups)]
        return [group for group in found if group is not None]

    def _advance(self, step: int, deadline: float) -> None:
        """Wait for one event and react to it."""
        ready = self._wait(step, deadline)
        if not ready and time.monotonic() >= deadline:
            raise self._timeout(step)
        for pool in self.reward_pools:
            owned = [ref for ref in ready if ref in pool.pending]
            scored = [group for ref in owned for group in pool.take(ref)]
            for group in [*scored, *pool.expire()]:
                self._scored(group)
        for ref in ready:
            if ref in self.sampling:
                self._sampled(ref)
        self.engines.tick()
        self._hand_back()
        self._dispatch()

    def _wait(self, step: int, deadline: float) -> list[Any]:
        """Refs that are ready, after waiting for the first; none if something is due by the clock."""
        refs = [ref for pool in self.reward_pools for ref in pool.pending]
        refs += [*self.sampling, *self.engines.pending]
        limits = [deadline, self.engines.next_deadline]
        limits += [pool.next_deadline for pool in self.reward_pools]
        books, is_exposed = self.steps[step], not self._is_sampling(step)
        busy = {one.engine.index for one in self.sampling.values()}
        share = min(1.0, len(busy) / max(1, len(self.engines.serving)))
        began = time.monotonic()
        limit = max(0.0, min(limits) - began)
        ready: list[Any] = []
        if refs:
            ready, _ = ray.wait(refs, num_returns=1, timeout=limit, fetch_local=False)
        else:
            time.sleep(min(limit, IDLE_SECONDS))
        seconds = time.monotonic() - began
        books.exposed_seconds += seconds * is_exposed
        books.busy_seconds += seconds * share
        return ready

    def _hand_back(self) -> None:
        """Requests of engines that are gone wait again, in order and before all others."""
        lost = [ref for ref, one in self.sampling.items() if one.engine.actor is not one.actor]
        requests = [self.sampling.pop(ref).request for ref in lost]
        for request in sorted(requests, key=lambda one: (one.step, one.order), reverse=True):
            if request.num_losses + 1 >= MAX_LOSSES:
                raise ActorError(
                    f"{request.where}: {MAX_LOSSES} engines were lost with it, one after the other; it may be what "
                    "kills them (logs/rollout_*.log): take the prompt out of data.train, or lower model.max_pixels"
                )
            self.steps[request.step].counts["regenerated"] += 1
            self.waiting.appendleft(replace(request, num_losses=request.num_losses + 1))

    def _is_sampling(self, step: int) -> bool:
        under_way = (one.request for one in self.sampling.values())
        return any(request.step == step for request in [*under_way, *self.waiting])

    def _timeout(self, step: int) -> ActorTimeoutError:
        unfinished = [one.request for one in self.sampling.values()]
        unfinished += [one.request for one in self.scoring.values()]
        unfinished += self.waiting
        missing = [one.prompt.prompt_id for one in unfinished if one.step == step]
        return ActorTimeoutError(
            f"step {step}: {len(missing)} groups unfinished after {self.timeout_seconds:.0f} s, the first of "
            f"prompt {missing[:1]}; raise cluster.step_timeout_seconds if engines are only slow"
        )

    def _dispatch(self) -> None:
        """Give waiting requests to the engine with the fewest tokens ahead of it, for its size."""
        serving = self.engines.serving
        loads = {engine.index: 0 for engine in self.engines.engines}
        responses = dict(loads)
        for one in self.sampling.values():
            loads[one.engine.index] += one.request.load
            responses[one.engine.index] += len(one.request.indices)
        while self.waiting:
            size = len(self.waiting[0].indices)
            # An idle engine takes any group, also one larger than its limit.
            free = [
                engine
                for engine in serving
                if responses[engine.index] == 0
                or responses[engine.index] + size <= self.max_concurrent_responses
            ]
            if not free:
                return
            chosen = least_loaded(free, loads)
            request = self._prepared(self.waiting.popleft())
            ref = chosen.actor.generate_group.remote(*request.arguments)
            self.sampling[ref] = Sampling(
                request=request, engine=chosen, actor=chosen.actor, version=self.engines.version
            )
            loads[chosen.index] += request.load
            responses[chosen.index] += size

    def _prepared(self, request: SampleRequest) -> SampleRequest:
        """The request as actors can read it now: a node that joined since it was made may not see its pictures."""
        [prompt] = self.prepare([request.prompt])
        if prompt is request.prompt:
            return request
        ref = put(prompt, what=f"prompt {prompt.prompt_id}")
        return replace(request, prompt=prompt, prompt_ref=ref)

    def _sampled(self, ref: Any) -> None:
        """A group is sampled, or lost with its engine: it goes to every reward pool, or is handed back."""
        one = self.sampling[ref]
        request = one.request
        try:
            group: RolloutGroup = take(ref, actor=one.engine.name, phase=request.where)
        except ActorError as error:
            if not is_loss(error):
                raise
            if one.engine.actor is one.actor:
                self.engines.lost(one.engine, str(error))
            return
        del self.sampling[ref]
        if group.policy_version < one.version:
            raise ActorError(
                f"{one.engine.name} used policy version {group.policy_version} for {request.where}, "
                f"not {one.version}"
            )
        if not request.is_scored:
            self.steps[request.step].groups[request.order] = replace(group, prompt=request.prompt)
            return
        request = self._prepared(request)
        self.scoring[ref] = ScoringGroup(request=request, group=group)
        group_ref = put(group, what=request.where)  # the engine's copy may go with its node
        places = tuple(range(len(request.indices)))
        for pool in self.reward_pools:
            pool.score(ref, group_ref, request.prompt_ref, places=places, where=request.where)

    def _scored(self, scored: ScoredGroup) -> None:
        """One pool's outcomes are there; with the last pool's the group is put together."""
        scoring = self.scoring[scored.key]
        scoring.outcomes.append(scored.outcomes)
        scoring.seconds += scored.seconds
        if len(scoring.outcomes) < len(self.reward_pools):
            return
        del self.scoring[scored.key]
        request, group = scoring.request, scoring.group
        state = self.steps[request.step]
        valid = state.valid.setdefault(request.order, {})
        invalid = []
        for place, rollout in enumerate(group.rollouts):
            outcomes = [found[place] for found in scoring.outcomes]
            without = [one for one in outcomes if isinstance(one, InvalidReward)]
            if without:
                invalid.append(rollout.index)
                broken = next((one for one in without if one.fault), without[0])
                self.invalid.count(state, request, broken)
            else:
                valid[rollout.index] = with_reward(rollout, outcomes)
        seconds = group.reward_seconds + scoring.seconds
        self._settle(request, replace(group, reward_seconds=seconds), tuple(invalid))

    def _settle(
        self, request: SampleRequest, group: RolloutGroup, invalid: tuple[int, ...]
    ) -> None:
        """Finish the group, draw its invalid samples again, or drop it."""
        state = self.steps[request.step]
        if not invalid:
            valid = state.valid.pop(request.order)
            rollouts = [valid[index] for index in sorted(valid)]
            group = replace(group, prompt=request.prompt).with_rollouts(rollouts)
            state.groups[request.order] = group
        elif request.attempt + 1 < self.invalid.config.max_attempts:
            state.counts["resampled"] += len(invalid)
            self.waiting.append(replace(request, attempt=request.attempt + 1, indices=invalid))
        else:
            state.counts["dropped"] += 1
            state.groups[request.order] = None
