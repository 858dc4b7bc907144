"""What a reward pool keeps books with: requests to its actors, what is found of a group, and the actors' places."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from vr1_ray.actors.rewards.reward_actor import Outcome


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """Responses of one group to be scored by one actor."""

    key: Hashable  # the group's, for the caller
    group_ref: Any
    prompt_ref: Any
    places: tuple[int, ...]  # of the rollouts in the group
    where: str  # for messages: "prompt 9f0c in step 3"
    avoid: int | None = None  # the actor that failed on it
    tries: int = 0  # that found the reward unavailable
    failed_first: float = 0.0  # when the first of them did
    not_before: float = 0.0  # when it is tried again


@dataclass(kw_only=True)
class ScoredGroup:
    """All outcomes of a group, by place."""

    key: Hashable
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(eq=False, kw_only=True)
class Slot:
    """One actor and the call it is at: starting (`request` is None) or scoring."""

    index: int
    actor: Any
    call: Any
    deadline: float
    launched: float
    request: ScoreRequest | None = None
    is_ready: bool = False
    has_room: bool = False  # it does not wait for a place
    is_told: bool = False  # that it waits for one
