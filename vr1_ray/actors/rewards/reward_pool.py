"""One pool of reward actors: groups are scored as they end, whatever becomes of an actor.

A call scores one group. If it fails (the reward raised, hung past the time limit, or took its process
with it) the actor is replaced where needed and each response is tried once more alone, on another actor
where there is one. A response that fails again is invalid; its neighbours keep their rewards.

Runs on the driver and never waits: `rollout_pool.py` waits for `pending` and hands ready refs to `take`.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from vr1_ray.actors.rewards.reward_actor import InvalidReward, Outcome, ScoredCall
from vr1_ray.actors.scaling import QueueScaler
from vr1_ray.actors.waiting import ActorError, take
from vr1_ray.config import ReferenceConfig, RewardPoolConfig

MAX_START_FAILURES = 3  # in a row; then the reward itself is broken


def placement_options(config: RewardPoolConfig | ReferenceConfig) -> dict[str, Any]:
    """Where the actors of a pool, or of the reference, may run and what they reserve, as options of a Ray actor."""
    return {
        "num_cpus": config.num_cpus_per_actor,
        "num_gpus": config.num_gpus_per_actor,
        "resources": dict(config.resources),
        "label_selector": dict(config.label_selector),
    }


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """Responses of one group to be scored by one actor."""

    key: Hashable  # the group's, for the caller
    group_ref: Any
    prompt_ref: Any
    places: tuple[int, ...]  # of the rollouts in the group
    where: str  # for messages: "prompt 9f0c in step 3"
    avoid: int | None = None  # the actor that failed on it


@dataclass(kw_only=True)
class ScoredGroup:
    """All outcomes of a group, by place."""

    key: Hashable
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(eq=False, kw_only=True)
class _Slot:
    """One actor and the call it is at: starting (`request` is None) or scoring."""

    index: int
    actor: Any
    call: Any
    deadline: float
    request: ScoreRequest | None = None
    is_ready: bool = False


class RewardPool:
    """Reward actors behind a queue; each does one call at a time.

    `launch(index)` makes an actor; `note` tells the user what happened; `rewards` are their names, for that.

    Example:
        pool.score("group 1", group_ref, prompt_ref, places=(0, 1), where="prompt 9f0c in step 3")
        [scored] = pool.take(ready_ref)
    """

    def __init__(
        self,
        name: str,
        config: RewardPoolConfig,
        launch: Callable[[int], Any],
        *,
        rewards: Sequence[str] = (),
        start_timeout_seconds: float,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.config, self.launch = name, config, launch
        self.rewards = f" of {', '.join(rewards)}" if rewards else ""
        self.start_timeout_seconds, self.note, self.clock = start_timeout_seconds, note, clock
        self.queue: deque[ScoreRequest] = deque()
        self.unfinished: dict[Hashable, tuple[int, ScoredGroup]] = {}  # key -> places, found so far
        self.start_failures = 0
        self.num_restarts = 0
        self.scaler = QueueScaler(
            least=config.min_actors or config.num_actors,
            most=config.max_actors or config.num_actors,
        )
        self.num_launched = 0
        self.slots: list[_Slot] = []
        self.resize(config.num_actors)

    def starting(self) -> dict[str, Any]:
        """Refs to wait for before the run begins, by actor name."""
        return {f"reward actor {self.name}/{slot.index}": slot.call for slot in self.slots}

    @property
    def actors(self) -> list[Any]:
        return [slot.actor for slot in self.slots]

    @property
    def pending(self) -> list[Any]:
        """Refs of calls under way."""
        return [slot.call for slot in self.slots if slot.call is not None]

    @property
    def next_deadline(self) -> float:
        """When `expire` must be called at the latest; infinite if nothing is under way."""
        return min((s.deadline for s in self.slots if s.call is not None), default=float("inf"))

    def score(
        self, key: Hashable, group_ref: Any, prompt_ref: Any, *, places: tuple[int, ...], where: str
    ) -> None:
        """Queue a group; `take` or `expire` gives its `ScoredGroup` when all outcomes are known."""
        self.unfinished[key] = (len(places), ScoredGroup(key=key))
        self.queue.append(
            ScoreRequest(
                key=key, group_ref=group_ref, prompt_ref=prompt_ref, places=places, where=where
            )
        )
        self._dispatch()

    def take(self, ref: Any) -> list[ScoredGroup]:
        """A ref of `pending` is ready: use what it brought. Returns groups that are complete with it."""
        slot = next(slot for slot in self.slots if slot.call == ref)
        request, slot.call, slot.request = slot.request, None, None
        name = f"reward actor {self.name}/{slot.index}"
        try:
            result = take(ref, actor=name, phase=request.where if request else "starting")
        except ActorError as error:
            return self._failed(slot, request, str(error))
        if request is None:
            slot.is_ready, self.start_failures = True, 0
        finished = self._found(request, result, slot.index) if request else []
        self._dispatch()
        return finished

    def expire(self) -> list[ScoredGroup]:
        """Stop every call that is past its time limit. Returns groups that are complete with it."""
        now, finished = self.clock(), []
        for slot in [s for s in self.slots if s.call is not None and s.deadline <= now]:
            request, slot.call, slot.request = slot.request, None, None
            if request:
                limit, setting = (
                    self.config.timeout_seconds,
                    f"reward_pools.{self.name}.timeout_seconds",
                )
            else:
                limit, setting = self.start_timeout_seconds, "cluster.start_timeout_seconds"
            reason = f"no answer{self.rewards} within {limit:g} s, the limit of {setting}"
            finished += self._failed(slot, request, reason)
        return finished

    def resize(self, number: int) -> None:
        """Have `number` actors: new ones start in the background, idle ones are stopped."""
        while len(self.slots) < number:
            self.slots.append(self._start(self.num_launched))
            self.num_launched += 1
        for slot in [s for s in reversed(self.slots) if s.is_ready and s.call is None]:
            if len(self.slots) > number:
                ray.kill(slot.actor)
                self.slots.remove(slot)

    def scale(self, number: int) -> None:
        """Have `number` actors from now on; with autoscaling only for now."""
        if not self.config.max_actors:
            self.scaler.least = self.scaler.most = number
        self.resize(number)

    def _start(self, index: int) -> _Slot:
        actor = self.launch(index)
        deadline = self.clock() + self.start_timeout_seconds
        return _Slot(index=index, actor=actor, call=actor.ready.remote(), deadline=deadline)

    def _dispatch(self) -> None:
        """Give waiting requests to free actors, a failed one to another actor if there is one."""
        for slot in self.slots:
            if not slot.is_ready or slot.call is not None:
                continue
            others = len(self.slots) > 1
            request = next((r for r in self.queue if not (others and r.avoid == slot.index)), None)
            if request is not None:
                self.queue.remove(request)
                slot.request = request
                slot.call = slot.actor.score.remote(
                    request.group_ref, request.prompt_ref, list(request.places)
                )
                slot.deadline = self.clock() + self.config.timeout_seconds
        self._autoscale()

    def _autoscale(self) -> None:
        decision = self.scaler.decide(
            now=self.clock(),
            running=len(self.slots),
            busy=sum(slot.call is not None for slot in self.slots),
            queued=len(self.queue),
        )
        if decision is not None:
            number, reason = decision
            self.note(f"reward pool {self.name}: {len(self.slots)} -> {number} actors: {reason}")
            self.resize(number)

    def _found(self, request: ScoreRequest, call: ScoredCall, index: int) -> list[ScoredGroup]:
        """Keep what was scored; what was invalid together with others is tried once more alone."""
        wanted, scored = self.unfinished[request.key]
        scored.seconds += call.seconds
        for place, outcome in zip(request.places, call.outcomes, strict=True):
            if isinstance(outcome, InvalidReward) and request.avoid is None:
                self.queue.appendleft(replace(request, places=(place,), avoid=index))
            else:
                scored.outcomes[place] = outcome
        if len(scored.outcomes) < wanted:
            return []
        del self.unfinished[request.key]
        return [scored]

    def _failed(self, slot: _Slot, request: ScoreRequest | None, reason: str) -> list[ScoredGroup]:
        """The actor died or hung: replace it, and try its responses again or give them up."""
        ray.kill(slot.actor)
        self.num_restarts += 1
        if request is None:
            self._start_failed(slot, reason)
            return []
        self.slots[self.slots.index(slot)] = self._start(slot.index)
        reason = f"reward pool {self.name}, {request.where}: {reason}"
        outcomes: list[Outcome] = [InvalidReward(reason=reason) for _ in request.places]
        finished = self._found(request, ScoredCall(outcomes=outcomes, seconds=0.0), slot.index)
        self.note(f"{reason.splitlines()[0]}; the actor is started again")
        self._dispatch()
        return finished

    def _start_failed(self, slot: _Slot, reason: str) -> None:
        """An actor that can't start is given up, unless it is the last one."""
        self.start_failures += 1
        name = f"reward actor {self.name}/{slot.index}"
        if self.start_failures >= MAX_START_FAILURES:
            raise ActorError(
                f"{name} could not be started, {self.start_failures} times in a row: {reason}"
            )
        self.slots.remove(slot)
        self.note(f"{name} could not be started: {reason}")
        if not self.slots:
            self.resize(1)
