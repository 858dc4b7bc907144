"""The reward actor: scores finished groups on CPU. A crashed reward is an error that says so, never a 0."""

import time
import traceback
from dataclasses import replace

from vr1_ray.actors.cluster import write_output_to
from vr1_ray.config import RunConfig
from vr1_ray.types import Prompt, RewardInput, RewardOutput, Rollout, RolloutGroup


class RewardError(RuntimeError):
    """A reward raised. The message names the prompt, the rollout, and the reward's own traceback."""


class RewardActor:
    """Holds the run's rewards and scores a group at a time."""

    def __init__(self, config: RunConfig, index: int) -> None:
        write_output_to(str(config.folder / "logs"), f"reward_{index}")
        from vr1_ray.rewards import make_rewards

        self.rewards = make_rewards(config.rewards)

    def ready(self) -> bool:
        return True

    def score_group(self, group: RolloutGroup, prompt: Prompt) -> RolloutGroup:
        """Fill reward and reward parts of every rollout. `prompt` is the group's prompt with its image bytes.

        Raises RewardError with the reward's own traceback.
        """
        began = time.monotonic()
        scored = [self._scored(rollout, group, prompt) for rollout in group.rollouts]
        return replace(group.with_rollouts(scored), reward_seconds=time.monotonic() - began)

    def _scored(self, rollout: Rollout, group: RolloutGroup, prompt: Prompt) -> Rollout:
        output = self._score(
            RewardInput(
                prompt=prompt,
                response=rollout.text,
                finished=rollout.is_finished,
                rollout=rollout,
                stage=group.stage,
                step=group.step,
            )
        )
        return replace(rollout, reward=output.value, reward_parts=output.parts)

    def _score(self, reward_input: RewardInput) -> RewardOutput:
        from vr1_ray.rewards import combine

        try:
            return combine(self.rewards, reward_input)
        except Exception as error:
            raise RewardError(
                f"a reward failed on prompt {reward_input.prompt.prompt_id}, rollout {reward_input.rollout.index}: "
                f"{error}\n{traceback.format_exc()}"
            ) from None
