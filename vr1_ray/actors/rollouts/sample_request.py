"""What the rollout pool keeps books with: requests to engines, groups being scored, and steps."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vr1_ray.actors.rewards.reward_actor import InvalidReward, Outcome
from vr1_ray.actors.rollouts.engine import Engine
from vr1_ray.types import Prompt, Rollout, RolloutGroup, SamplingSpec, Stage

if TYPE_CHECKING:
    from vr1_ray.models import RenderedPrompt


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """Responses of one group to sample: what an engine is asked for."""

    order: int  # place in the step, so that groups come back in prompt order
    prompt: Prompt
    prompt_ref: Any
    rendered: "RenderedPrompt | None" = None  # None: the engine's actor makes its token ids
    spec: SamplingSpec
    stage: Stage
    step: int
    attempt: int = 0
    indices: tuple[int, ...]  # which samples of the group; all at the first attempt
    is_scored: bool = True
    num_losses: int = 0  # engines that were lost with it

    @property
    def load(self) -> int:
        """Upper bound of the tokens this request makes an engine decode."""
        return len(self.indices) * self.spec.max_response_tokens

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What `RolloutActor.generate_group` is called with."""
        of_step = (self.spec, self.stage, self.step)
        return (self.prompt_ref, *of_step, self.attempt, self.indices, self.rendered)

    @property
    def where(self) -> str:
        return f"sampling and scoring prompt {self.prompt.prompt_id} in step {self.step}"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A request under way."""

    request: SampleRequest
    engine: Engine
    actor: Any  # the engine's process at that time: with it the request is lost
    version: int  # policy version asked for


@dataclass(kw_only=True)
class ScoringGroup:
    """A sampled group of which the pools' outcomes are still coming in."""

    request: SampleRequest
    group: RolloutGroup
    outcomes: list[dict[int, Outcome]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(kw_only=True)
class StepBooks:
    """What is known of one step's groups."""

    num_groups: int = 0
    num_samples: int = 0
    groups: dict[int, RolloutGroup | None] = field(default_factory=dict)  # by order; None: dropped
    valid: dict[int, dict[int, Rollout]] = field(default_factory=dict)  # by order and index
    counts: Counter[str] = field(default_factory=Counter)
    exposed_seconds: float = 0.0  # waited for rewards while nothing was left to sample
    busy_seconds: float = 0.0  # engines had requests; mean over those that served

    def metrics(self) -> dict[str, float]:
        """Of a step that is complete."""
        return {
            "time/reward_exposed": self.exposed_seconds,
            "time/engines_busy": self.busy_seconds,
            "invalid/rollouts": float(self.counts["invalid"]),
            "invalid/raised": float(self.counts["raised"]),
            "invalid/resampled": float(self.counts["resampled"]),
            "invalid/groups_dropped": float(self.counts["dropped"]),
            "engines/regenerated_groups": float(self.counts["regenerated"]),
        }


def with_reward(rollout: Rollout, outcomes: list[Outcome]) -> Rollout:
    """The rollout with the sum of all pools' rewards and all their parts."""
    value = 0.0
    parts: dict[str, float] = {}
    for outcome in outcomes:
        assert not isinstance(outcome, InvalidReward)
        value += outcome.value
        parts |= {name: amount for name, amount in outcome.parts.items() if name not in parts}
    return replace(rollout, reward=value, reward_parts=parts)
