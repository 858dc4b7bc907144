"""The reward actor: scores the responses of one group on CPU (or on a GPU of its own).

A reward that raises makes its response invalid, with the traceback as the reason; it is never a 0.
What a dead or hanging actor means is the pool's affair (`reward_pool.py`).
"""

import time
from dataclasses import dataclass

from vr1_ray.actors.process import begin_process
from vr1_ray.config import RunConfig
from vr1_ray.types import Prompt, RewardInput, RewardOutput, RolloutGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidReward:
    """A rollout that no reward could be found for, and why. It is never taken for a reward of 0.

    Example:
        InvalidReward(reason="llm_judge: no answer within 20 s")
    """

    reason: str  # the first line says what happened; a traceback may follow
    fault: str = (
        ""  # of a reward that raised: which, what and where; "" for one that is unavailable
    )
    is_unavailable: bool = False  # it said that it can't be known now: what it asks may be down


Outcome = RewardOutput | InvalidReward


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredCall:
    """What one call found: an outcome per response that was asked for, in order."""

    outcomes: list[Outcome]
    seconds: float


class RewardActor:
    """Holds the rewards of one pool."""

    def __init__(self, config: RunConfig, pool: str, packed: bytes, index: int) -> None:
        begin_process(str(config.folder / "logs"), f"reward_{pool}_{index}")
        from vr1_ray.actors.rewards.handing import unpack
        from vr1_ray.rewards import make_rewards

        self.rewards = make_rewards(config.rewards, pool=pool, objects=unpack(packed))

    def ready(self) -> bool:
        return True

    def score(self, group: RolloutGroup, prompt: Prompt, places: list[int]) -> ScoredCall:
        """Score the rollouts at `places` of the group. `prompt` is the group's, with its image bytes."""
        began = time.monotonic()
        inputs = [_reward_input(group, prompt, place) for place in places]
        return ScoredCall(outcomes=self._outcomes(inputs), seconds=time.monotonic() - began)

    def _outcomes(self, inputs: list[RewardInput]) -> list[Outcome]:
        """All at once; if that fails, one by one, so that one bad response spoils no other."""
        from vr1_ray.rewards import RewardError, combine_batch

        try:
            found = combine_batch(self.rewards, inputs)
        except RewardError as error:  # the message has its file, line and traceback
            if len(inputs) == 1:
                return [InvalidReward(reason=str(error), fault=error.fault)]
            found = (
                None  # outside of this block, so that the tracebacks to come don't hold this one
            )
        if found is None:
            return [outcome for one in inputs for outcome in self._outcomes([one])]
        return [
            outcome
            if isinstance(outcome, RewardOutput)
            else InvalidReward(reason=str(outcome), is_unavailable=True)
            for outcome in found
        ]


def _reward_input(group: RolloutGroup, prompt: Prompt, place: int) -> RewardInput:
    rollout = group.rollouts[place]
    return RewardInput(
        prompt=prompt,
        response=rollout.text,
        finished=rollout.is_finished,
        rollout=rollout,
        stage=group.stage,
        step=group.step,
    )
