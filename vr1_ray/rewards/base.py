"""What a response earns: the `Reward` interface. Plain Python; it knows no engine, no trainer, no Ray.

A reward sees everything known of a rollout and returns a value with named parts, each part a metric. A
malformed response is data and earns 0. An exception is a broken reward: the run says so, and never takes
it for a 0.

To add one, write one file and a row in `vr1_ray/rewards/__init__.py` (or name it in the YAML as
`package.module:Name`):

    class MentionsCircle(Reward):
        "1 if the response names the circle."

        def __init__(self, word: str = "circle"):       # options of the YAML come as keyword arguments
            self.word = word

        def score(self, reward_input: RewardInput) -> RewardOutput:
            named = float(self.word in reward_input.response)
            return RewardOutput(value=named, parts={"named": named})

    rewards:
      - {name: hard_format, weight: 1.0}
      - {name: "my_package.my_module:MentionsCircle", weight: 0.1, options: {word: circle}}
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vr1_ray.types import RewardInput, RewardOutput

NamedReward = tuple[str, float, "Reward"]  # name, weight, reward
SHARED_PARTS = (
    "format",
    "accuracy",
    "answer_check/bounded",
)  # reported under their bare names too: metrics of every run


class Reward(ABC):
    """One reward. Made once per reward actor, then asked for many rollouts.

    Example:
        HardFormatReward().score(reward_input).value
    """

    @abstractmethod
    def score(self, reward_input: RewardInput) -> RewardOutput:
        """The reward of one rollout."""


def combine(rewards: Sequence[NamedReward], reward_input: RewardInput) -> RewardOutput:
    """The weighted sum of several rewards.

    Parts come as `name/part`; the shared ones also bare, from the first reward that reports them.
    """
    value, parts = 0.0, {}
    for name, weight, reward in rewards:
        output = reward.score(reward_input)
        value += weight * output.value
        parts[name] = output.value
        for part, amount in output.parts.items():
            parts[f"{name}/{part}"] = amount
            if part in SHARED_PARTS:
                parts.setdefault(part, amount)
    return RewardOutput(value=value, parts=parts)
