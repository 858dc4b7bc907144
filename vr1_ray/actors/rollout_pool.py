"""The rollout pool: prompts go to the least loaded engine, and each group is scored as it ends.

Runs on the driver, between the loop's `submit` and `collect`. Only object refs pass through here
until a group is scored; an image crosses to a node once per prompt, as the bytes of its file.

A rollout that no reward could be found for is drawn again with another seed (its next attempt); when the
attempts are used up its group is dropped and counted. A reward is never made up.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from vr1_ray.actors.reward_actor import InvalidReward, Outcome
from vr1_ray.actors.reward_pool import RewardPool, ScoredGroup
from vr1_ray.actors.waiting import ActorError, ActorTimeoutError, take
from vr1_ray.config import InvalidRolloutsConfig
from vr1_ray.types import Prompt, Rollout, RolloutGroup, SamplingSpec, Stage


class InvalidRolloutsError(ActorError):
    """Too many rollouts of a step have no reward. The message names reward, prompt and cause."""


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """Responses of one group to sample: what an engine is asked for."""

    order: int  # place in the step, so that groups come back in prompt order
    prompt: Prompt
    prompt_ref: Any
    spec: SamplingSpec
    stage: Stage
    step: int
    attempt: int = 0
    indices: tuple[int, ...]  # which samples of the group; all at the first attempt
    is_scored: bool = True

    @property
    def load(self) -> int:
        """Upper bound of the tokens this request makes an engine decode."""
        return len(self.indices) * self.spec.max_response_tokens

    @property
    def where(self) -> str:
        return f"sampling and scoring prompt {self.prompt.prompt_id} in step {self.step}"


@dataclass(kw_only=True)
class _Scoring:
    """A sampled group of which the pools' outcomes are still coming in."""

    request: SampleRequest
    outcomes: list[dict[int, Outcome]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(kw_only=True)
class _Step:
    """What is known of one step's groups."""

    num_groups: int = 0
    num_samples: int = 0
    groups: dict[int, RolloutGroup | None] = field(default_factory=dict)  # by order; None: dropped
    valid: dict[int, dict[int, Rollout]] = field(default_factory=dict)  # by order and index
    counts: Counter[str] = field(default_factory=Counter)
    exposed_seconds: float = 0.0  # waited for rewards while nothing was left to sample


class RolloutPool:
    """Dispatches requests over engines and reward pools and collects scored groups.

    Example:
        pool.submit(prompts, spec, stage, step)
        groups = pool.collect(step)      # scored, in prompt order
        pool.last_metrics                # of that step: time/reward_exposed, invalid/...
    """

    def __init__(
        self,
        engines: list[Any],
        reward_pools: list[RewardPool],
        *,
        max_concurrent_responses: int,
        timeout_seconds: float,
        invalid: InvalidRolloutsConfig,
    ) -> None:
        self.engines = engines
        self.reward_pools = reward_pools
        self.max_concurrent_responses = max_concurrent_responses
        self.timeout_seconds = timeout_seconds
        self.invalid = invalid
        self.waiting: deque[SampleRequest] = deque()
        self.generating: dict[Any, tuple[SampleRequest, int]] = {}  # ref -> request, engine
        self.scoring: dict[Any, _Scoring] = {}  # by the group's ref
        self.steps: dict[int, _Step] = {}
        self.last_metrics: dict[str, float] = {}

    def submit(
        self,
        prompts: list[Prompt],
        spec: SamplingSpec,
        stage: Stage,
        step: int,
        *,
        is_scored: bool = True,
    ) -> None:
        """Queue one group per prompt; those that engines have room for start at once."""
        state = self.steps.setdefault(step, _Step())
        for prompt in prompts:
            self.waiting.append(
                SampleRequest(
                    order=state.num_groups,
                    prompt=prompt,
                    prompt_ref=ray.put(prompt),
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
        InvalidRolloutsError if more than `invalid_rollouts.max_rate` of the samples have no reward.
        """
        deadline = time.monotonic() + self.timeout_seconds
        state = self.steps[step]
        while len(state.groups) < state.num_groups:
            self._advance(step, deadline)
        del self.steps[step]
        self.last_metrics = {
            "time/reward_exposed": state.exposed_seconds,
            "invalid/rollouts": float(state.counts["invalid"]),
            "invalid/resampled": float(state.counts["resampled"]),
            "invalid/groups_dropped": float(state.counts["dropped"]),
        }
        found = [state.groups[order] for order in range(state.num_groups)]
        return [group for group in found if group is not None]

    def _advance(self, step: int, deadline: float) -> None:
        """Wait for one event and react to it."""
        refs = [ref for pool in self.reward_pools for ref in pool.pending]
        limit = min([deadline, *(pool.next_deadline for pool in self.reward_pools)])
        is_exposed = not self._is_sampling(step)
        began = time.monotonic()
        ready, _ = ray.wait(
            [*refs, *self.generating],
            num_returns=1,
            timeout=max(0.0, limit - began),
            fetch_local=False,
        )
        if is_exposed:
            self.steps[step].exposed_seconds += time.monotonic() - began
        if not ready and time.monotonic() >= deadline:
            raise self._timeout(step)
        for pool in self.reward_pools:
            owned = [ref for ref in ready if ref in pool.pending]
            scored = [group for ref in owned for group in pool.take(ref)]
            for group in [*scored, *pool.expire()]:
                self._scored(group)
        for ref in ready:
            if ref in self.generating:
                self._sampled(ref)
        self._dispatch()

    def _is_sampling(self, step: int) -> bool:
        under_way = (request for request, _ in self.generating.values())
        return any(request.step == step for request in [*under_way, *self.waiting])

    def _timeout(self, step: int) -> ActorTimeoutError:
        missing = [
            request.prompt.prompt_id
            for request in [
                *(request for request, _ in self.generating.values()),
                *(scoring.request for scoring in self.scoring.values()),
                *self.waiting,
            ]
            if request.step == step
        ]
        return ActorTimeoutError(
            f"step {step}: {len(missing)} groups unfinished after {self.timeout_seconds:.0f} s, the first of "
            f"prompt {missing[:1]}; raise cluster.step_timeout_seconds if engines are only slow"
        )

    def _dispatch(self) -> None:
        """Give waiting requests to the engine with the fewest tokens ahead of it."""
        loads = [0] * len(self.engines)
        responses = [0] * len(self.engines)
        for request, engine in self.generating.values():
            loads[engine] += request.load
            responses[engine] += len(request.indices)
        while self.waiting:
            size = len(self.waiting[0].indices)
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
                request.prompt_ref,
                request.spec,
                request.stage,
                request.step,
                request.attempt,
                request.indices,
            )
            self.generating[ref] = (request, chosen)
            loads[chosen] += request.load
            responses[chosen] += size

    def _sampled(self, ref: Any) -> None:
        """A group is sampled: its ref goes to every reward pool."""
        request, engine = self.generating.pop(ref)
        if not request.is_scored:
            group = take(ref, actor=f"engine {engine}", phase=request.where)
            self.steps[request.step].groups[request.order] = replace(group, prompt=request.prompt)
            return
        self.scoring[ref] = _Scoring(request=request)
        places = tuple(range(len(request.indices)))
        for pool in self.reward_pools:
            pool.score(ref, ref, request.prompt_ref, places=places, where=request.where)

    def _scored(self, scored: ScoredGroup) -> None:
        """One pool's outcomes are there; with the last pool's the group is put together."""
        scoring = self.scoring[scored.key]
        scoring.outcomes.append(scored.outcomes)
        scoring.seconds += scored.seconds
        if len(scoring.outcomes) < len(self.reward_pools):
            return
        del self.scoring[scored.key]
        request = scoring.request
        state = self.steps[request.step]
        group: RolloutGroup = take(scored.key, actor="an engine", phase=request.where)
        valid = state.valid.setdefault(request.order, {})
        invalid = []
        for place, rollout in enumerate(group.rollouts):
            outcomes = [found[place] for found in scoring.outcomes]
            reasons = [one.reason for one in outcomes if isinstance(one, InvalidReward)]
            if reasons:
                invalid.append(rollout.index)
                self._count_invalid(request, reasons[0])
            else:
                valid[rollout.index] = _with_reward(rollout, outcomes)
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
        elif request.attempt + 1 < self.invalid.max_attempts:
            state.counts["resampled"] += len(invalid)
            self.waiting.append(replace(request, attempt=request.attempt + 1, indices=invalid))
        else:
            state.counts["dropped"] += 1
            state.groups[request.order] = None

    def _count_invalid(self, request: SampleRequest, reason: str) -> None:
        state = self.steps[request.step]
        state.counts["invalid"] += 1
        if state.counts["invalid"] > self.invalid.max_rate * state.num_samples:
            raise InvalidRolloutsError(
                f"{reason}\n(step {request.step}: {state.counts['invalid']} of {state.num_samples} rollouts have no "
                f"reward, more than invalid_rollouts.max_rate {self.invalid.max_rate:g}; the first cause is above, "
                f"for prompt {request.prompt.prompt_id})"
            )


def _with_reward(rollout: Rollout, outcomes: list[Outcome]) -> Rollout:
    """The rollout with the sum of all pools' rewards and all their parts."""
    value = 0.0
    parts: dict[str, float] = {}
    for outcome in outcomes:
        assert not isinstance(outcome, InvalidReward)
        value += outcome.value
        parts |= {name: amount for name, amount in outcome.parts.items() if name not in parts}
    return replace(rollout, reward=value, reward_parts=parts)
