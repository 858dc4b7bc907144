"""Rewards with faults, in a module that loads at once: each is tried in a process of its own."""

import os

from vr1_ray.rewards import Reward
from vr1_ray.types import RewardInput, RewardOutput


class Raises(Reward):
    """A reward with a fault in it."""

    def score(self, reward_input: RewardInput) -> RewardOutput:
        raise KeyError("no such column")


class Exits(Reward):
    """A reward that takes its process with it."""

    def score(self, reward_input: RewardInput) -> RewardOutput:
        os._exit(7)


def is_never_right(reward_input: RewardInput) -> float:
    """A reward that pays nothing for a right answer."""
    return 0.0
