"""Rewards that break on chosen samples, as users' rewards do. Named in configs as a module path."""

import os
import time

from vr1_ray.rewards import Reward, RewardUnavailableError
from vr1_ray.types import RewardInput, RewardOutput


class Fails(Reward):
    """1 for a sample, unless its `prompt/index/attempt` is listed to hang, raise or end the process."""

    def __init__(self, hang=(), raises=(), exits=(), seconds=0.0):
        self.hang, self.raises, self.exits, self.seconds = hang, raises, exits, seconds

    def score(self, reward_input: RewardInput) -> RewardOutput:
        rollout = reward_input.rollout
        name = f"{reward_input.prompt.prompt_id}/{rollout.index}/{rollout.attempt}"
        time.sleep(self.seconds)
        if name in self.hang:
            time.sleep(600)
        if name in self.raises:
            raise KeyError(f"no such column for {name}")
        if name in self.exits:
            os._exit(7)
        return RewardOutput(value=1.0, parts={"index": float(rollout.index)})


class FailsOnce(Reward):
    """Ends its process at the first call and is fine at the next: the file remembers."""

    def __init__(self, file):
        self.file = file

    def score(self, reward_input: RewardInput) -> RewardOutput:
        if not os.path.exists(self.file):
            open(self.file, "w").close()
            os._exit(7)
        return RewardOutput(value=0.5)


class IsDown(Reward):
    """Has no reward while the file is there, as a judge whose server is down; never one for the `prompt/index` listed."""

    def __init__(self, file, never=()):
        self.file, self.never = file, never

    def score(self, reward_input: RewardInput) -> RewardOutput:
        name = f"{reward_input.prompt.prompt_id}/{reward_input.rollout.index}"
        if os.path.exists(self.file) or name in self.never:
            raise RewardUnavailableError("no connection")
        return RewardOutput(value=0.5)
