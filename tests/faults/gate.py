"""A reward that keeps a step open while a file exists, so that a test can look on and break things."""

import time
from pathlib import Path

from vr1_ray.rewards import Reward
from vr1_ray.types import RewardInput, RewardOutput


class Gate(Reward):
    """The share of even token ids: of some variance whatever the policy says. Waits while `file` exists."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def score(self, reward_input: RewardInput) -> RewardOutput:
        while self.file.exists():
            time.sleep(0.1)
        ids = reward_input.rollout.response_ids
        return RewardOutput(value=sum(one % 2 == 0 for one in ids) / len(ids))
