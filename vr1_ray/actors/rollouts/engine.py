"""One rollout engine as the driver knows it: its health, its place, and its calls under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayTaskError

from vr1_ray.actors.rollouts.engine_health import EngineHealth
from vr1_ray.actors.rollouts.engine_place import EnginePlace
from vr1_ray.actors.waiting import ActorError, ActorLostError, ActorTimeoutError
from vr1_ray.rollout import EngineDiedError
from vr1_ray.weights.broadcast import BroadcastLostError

NEVER = float("inf")
STARTING = "starting"
LOADING = "loading weights"
FALLING_ASLEEP = "falling asleep"


@dataclass(eq=False, kw_only=True)
class Engine:
    """One engine through all its processes: a restarted one is the same engine at another place.

    What it samples is the pool's affair (`rollout_pool.py`).
    """

    index: int
    health: EngineHealth
    place: EnginePlace | None = None
    node: str = ""  # id; known when it has started
    call: Any = None  # ref of its start, of a weight load, or of falling asleep
    phase: str = ""  # which of the three
    deadline: float = NEVER  # of `call`
    arrival: str = ""  # what the user is told when it serves
    has_room: bool = False  # it does not wait for a place
    probe: Any = None
    probe_deadline: float = NEVER
    probe_at: float = NEVER  # when the next one is sent

    @property
    def name(self) -> str:
        return f"engine {self.index}"

    @property
    def actor(self) -> Any:
        """The actor of its present process; None while there is none."""
        return self.place.actor if self.place else None

    @property
    def size(self) -> int:
        """How many devices share its work."""
        return self.place.size if self.place else 1

    @property
    def next_deadline(self) -> float:
        """When something must be done about it at the latest."""
        probing = self.probe_at if self.probe is None else self.probe_deadline
        return min(self.deadline, probing, self.health.restart_at)

    def bury(self) -> None:
        """End its processes, give its place back, and forget its calls."""
        if self.place is not None:
            self.place.give_back()
        self.place, self.node, self.has_room = None, "", False
        self.call, self.deadline = None, NEVER
        self.probe, self.probe_deadline, self.probe_at = None, NEVER, NEVER


def least_loaded(engines: Sequence[Engine], loads: Mapping[int, int]) -> Engine:
    """The engine with the fewest tokens (by `index`) ahead of it for its size; the first of equals."""
    return min(engines, key=lambda one: (loads[one.index] / one.size, one.index))


def is_loss(error: ActorError) -> bool:
    """Whether the engine is gone, so that another may do what it was asked; else what it was asked is bad."""
    if isinstance(error, ActorLostError | ActorTimeoutError):
        return True
    return _has_raised(error, EngineDiedError)


def is_interrupted(error: ActorError) -> bool:
    """Whether the engine is sound but got a part of its weights only, for another was lost meanwhile."""
    return _has_raised(error, BroadcastLostError)


def _has_raised(error: ActorError, kind: type[Exception]) -> bool:
    raised = error.__cause__
    return isinstance(raised, RayTaskError) and isinstance(raised.cause, kind)
