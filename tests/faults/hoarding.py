"""A reward that takes all the memory it can get, once, when a file says so. Named in configs as a module path."""

import time
from pathlib import Path

from vr1_ray.rewards import Reward
from vr1_ray.types import RewardInput, RewardOutput

MEMORY_FILE = "take_all_memory"
BLOCK = 256 << 20
SECONDS = 20.0  # then nobody killed it, and it goes on


class Hoards(Reward):
    """0 for every response. The first to find the file removes it, and takes memory until its process is killed.

    Example:
        Hoards(file="runs/take_all_memory")
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def score(self, reward_input: RewardInput) -> RewardOutput:
        try:
            self.file.unlink()
        except FileNotFoundError:
            return RewardOutput(value=0.0)
        blocks, end = [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            blocks.append(bytearray(BLOCK))
            blocks[-1][:: 1 << 12] = b"x" * (
                BLOCK >> 12
            )  # memory that is only asked for is not taken
            time.sleep(0.05)
        return RewardOutput(value=0.0)
