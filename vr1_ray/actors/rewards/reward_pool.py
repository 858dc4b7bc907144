"""One pool of reward actors: groups are scored as they end, whatever becomes of an actor.

A call scores one group. If it fails (the reward raised, hung past the time limit, or took its process
with it) the actor is replaced where needed and each response is tried once more alone, on another actor
where there is one. A response that fails again is invalid; its neighbours keep their rewards. A service that is down
is waited for (`outages.py`). An actor for which the cluster has no room waits for it, as long as it must.

Runs on the driver and never waits: `rollout_pool.py` waits for `pending` and hands ready refs to `take`.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import ray

from vr1_ray.actors.rewards.outages import Outages
from vr1_ray.actors.rewards.reward_actor import InvalidReward, Outcome, ScoredCall
from vr1_ray.actors.rewards.score_request import ScoredGroup, ScoreRequest, Slot
from vr1_ray.actors.room import bundle_of, has_place, in_words
from vr1_ray.actors.scaling import QueueScaler
from vr1_ray.actors.waiting import ActorError, ActorLostError, take
from vr1_ray.config import ReferenceConfig, RewardPoolConfig

MAX_START_FAILURES = 3  # in a row; then the reward itself is broken
LOOK_SECONDS = 1.0  # between two looks at an actor that waits for room
TELL_SECONDS = 15.0  # then the user is told that it waits


def placement_options(config: RewardPoolConfig | ReferenceConfig) -> dict[str, Any]:
    """Where the actors of a pool, or of the reference, may run and what they reserve, as options of a Ray actor."""
    return {
        "num_cpus": config.num_cpus_per_actor,
        "num_gpus": config.num_gpus_per_actor,
        "resources": dict(config.resources),
        "label_selector": dict(config.label_selector),
    }


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
        self.outages = Outages(name, limit_seconds=config.outage_seconds, note=note, clock=clock)
        self.scaler = QueueScaler(
            least=config.min_actors or config.num_actors,
            most=config.max_actors or config.num_actors,
        )
        self.num_launched = 0
        self.slots: list[Slot] = []
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
        now = self.clock()
        limits = [slot.deadline for slot in self.slots if slot.call is not None]
        limits += [one.not_before for one in self.queue if one.not_before > now]
        return min(limits, default=float("inf"))

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
        slot = next((slot for slot in self.slots if slot.call == ref), None)
        if slot is None:  # stopped, since the pool has become smaller
            return []
        request, slot.call, slot.request = slot.request, None, None
        name = f"reward actor {self.name}/{slot.index}"
        try:
            result = take(ref, actor=name, phase=request.where if request else "starting")
        except ActorError as error:
            is_blameless = isinstance(error, ActorLostError) and error.how != "died"
            return self._failed(slot, request, str(error), is_blameless=is_blameless)
        if request is None:
            slot.is_ready, self.start_failures = True, 0
        finished = self._found(request, result, slot.index) if request else []
        self._dispatch()
        return finished

    def expire(self) -> list[ScoredGroup]:
        """Stop every call that is past its time limit, and try again what is due. Returns groups that are complete."""
        now, finished = self.clock(), []
        for slot in [s for s in self.slots if s.call is not None and s.deadline <= now]:
            if slot.request is None and not slot.has_room:
                self._look_for_room(slot, now)
                continue
            request, slot.call, slot.request = slot.request, None, None
            limit, setting = self.start_timeout_seconds, "cluster.start_timeout_seconds"
            if request:
                limit = self.config.timeout_seconds
                setting = f"reward_pools.{self.name}.timeout_seconds"
            reason = f"no answer{self.rewards} within {limit:g} s, the limit of {setting}"
            finished += self._failed(slot, request, reason)
        self._dispatch()
        return finished

    def resize(self, number: int) -> None:
        """Have `number` actors: new ones start in the background; those that wait for room, start or idle are stopped."""
        while len(self.slots) < number:
            self.slots.append(self._start(self.num_launched))
            self.num_launched += 1
        useless = [slot for slot in self.slots if slot.request is None]
        useless.sort(key=lambda slot: (slot.is_ready, slot.has_room, -slot.index))
        for slot in useless[: max(0, len(self.slots) - number)]:
            ray.kill(slot.actor)
            self.slots.remove(slot)
        self._assign()

    def scale(self, number: int) -> None:
        """Have `number` actors from now on; with autoscaling only for now."""
        if not self.config.max_actors:
            self.scaler.least = self.scaler.most = number
        self.resize(number)

    @property
    def bundle(self) -> dict[str, float]:
        """What one actor reserves."""
        config = self.config
        return bundle_of(config.num_cpus_per_actor, config.num_gpus_per_actor, config.resources)

    def _start(self, index: int) -> Slot:
        actor, now = self.launch(index), self.clock()
        call, look = actor.ready.remote(), now + LOOK_SECONDS
        return Slot(index=index, actor=actor, call=call, deadline=look, launched=now)

    def _look_for_room(self, slot: Slot, now: float) -> None:
        """The time of a start runs from when there was room for it: until then it may wait as long as it must."""
        slot.has_room = has_place(slot.actor)
        slot.deadline = now + (self.start_timeout_seconds if slot.has_room else LOOK_SECONDS)
        if not (slot.has_room or slot.is_told) and now - slot.launched >= TELL_SECONDS:
            slot.is_told = True
            self.note(
                f"reward actor {self.name}/{slot.index} waits for room ({in_words(self.bundle)})"
            )

    def _dispatch(self) -> None:
        self._assign()
        self._autoscale()

    def _assign(self) -> None:
        """Give waiting requests to free actors, a failed one to another actor if one is there."""
        now = self.clock()
        num_ready = sum(slot.is_ready for slot in self.slots)
        for slot in self.slots:
            if not slot.is_ready or slot.call is not None:
                continue
            avoids = slot.index if num_ready > 1 else None
            request = next(
                (
                    one
                    for one in self.queue
                    if one.not_before <= now and (avoids is None or one.avoid != avoids)
                ),
                None,
            )
            if request is not None:
                self.queue.remove(request)
                slot.request = request
                slot.call = slot.actor.score.remote(
                    request.group_ref, request.prompt_ref, list(request.places)
                )
                slot.deadline = now + self.config.timeout_seconds

    def _autoscale(self) -> None:
        decision = self.scaler.decide(
            now=self.clock(),
            running=len(self.slots),
            busy=sum(slot.call is not None for slot in self.slots),
            queued=sum(one.not_before <= self.clock() for one in self.queue),
        )
        if decision is not None:
            number, reason = decision
            self.note(f"reward pool {self.name}: {len(self.slots)} -> {number} actors: {reason}")
            self.resize(number)

    def _found(self, request: ScoreRequest, call: ScoredCall, index: int) -> list[ScoredGroup]:
        """Keep what was scored; what was invalid together with others is tried once more alone."""
        wanted, scored = self.unfinished[request.key]
        scored.seconds += call.seconds
        if not all(isinstance(outcome, InvalidReward) for outcome in call.outcomes):
            self.outages.answered()
        waited = self._wait_for_service(request, call)
        for place, outcome in zip(request.places, call.outcomes, strict=True):
            if place in waited:
                continue
            if isinstance(outcome, InvalidReward) and request.avoid is None:
                alone = replace(request, places=(place,), avoid=index)
                self.queue.appendleft(alone)
            else:
                scored.outcomes[place] = outcome
        if len(scored.outcomes) < wanted:
            return []
        del self.unfinished[request.key]
        return [scored]

    def _wait_for_service(self, request: ScoreRequest, call: ScoredCall) -> tuple[int, ...]:
        """The places whose reward is unavailable and waited for: they are tried again together, after a pause."""
        reasons = {
            place: outcome.reason
            for place, outcome in zip(request.places, call.outcomes, strict=True)
            if isinstance(outcome, InvalidReward) and outcome.is_unavailable
        }
        if not reasons:
            return ()
        tries, first = request.tries + 1, request.failed_first or self.clock()
        reason = next(iter(reasons.values()))
        retry_at = self.outages.retry_at(tries=tries, failed_first=first, reason=reason)
        if retry_at is None:
            return ()
        again = replace(request, places=tuple(reasons), tries=tries, failed_first=first)
        self.queue.append(replace(again, not_before=retry_at))
        return again.places

    def _failed(
        self, slot: Slot, request: ScoreRequest | None, reason: str, *, is_blameless: bool = False
    ) -> list[ScoredGroup]:
        """The actor died or hung: replace it, and try its responses again or give them up."""
        ray.kill(slot.actor)
        self.num_restarts += 1
        if request is None:
            self._start_failed(slot, reason, is_blameless)
            self._dispatch()
            return []
        self.slots[self.slots.index(slot)] = self._start(slot.index)
        reason = f"reward pool {self.name}, {request.where}: {reason}"
        outcomes: list[Outcome] = [InvalidReward(reason=reason) for _ in request.places]
        finished = self._found(request, ScoredCall(outcomes=outcomes, seconds=0.0), slot.index)
        self.note(f"{reason.splitlines()[0]}; the actor is started again")
        self._dispatch()
        return finished

    def _start_failed(self, slot: Slot, reason: str, is_blameless: bool) -> None:
        """An actor that can't start is given up, unless it is the last one; one that lost its node starts anew."""
        name = f"reward actor {self.name}/{slot.index}"
        if is_blameless:
            self.slots[self.slots.index(slot)] = self._start(slot.index)
            self.note(f"{reason.splitlines()[0]}; it is started again")
            return
        self.start_failures += 1
        if self.start_failures >= MAX_START_FAILURES:
            raise ActorError(
                f"{name} could not be started, {self.start_failures} times in a row: {reason}"
            )
        self.slots.remove(slot)
        self.note(f"{name} could not be started: {reason}")
        if not self.slots:
            self.resize(1)
