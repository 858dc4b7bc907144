"""Rewards: what a response earns, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

import importlib
from collections.abc import Sequence

from vr1_ray.config import RewardSpec
from vr1_ray.rewards.base import NamedReward, Reward, combine
from vr1_ray.rewards.hard_format import HardFormatReward, hard_format_reward
from vr1_ray.rewards.math_answer import Verdict, accuracy_of, answers_match, compare
from vr1_ray.rewards.response_format import ParsedResponse, parse_response
from vr1_ray.rewards.soft_format import SoftFormatResultReward

REWARDS: dict[str, type[Reward]] = {
    "hard_format": HardFormatReward,
    "soft_format_result": SoftFormatResultReward,
}

__all__ = [
    "REWARDS",
    "NamedReward",
    "ParsedResponse",
    "Reward",
    "Verdict",
    "accuracy_of",
    "answers_match",
    "combine",
    "compare",
    "hard_format_reward",
    "make_rewards",
    "parse_response",
]


def make_rewards(specs: Sequence[RewardSpec]) -> list[NamedReward]:
    """The rewards that the config's `rewards` list names, with their weights, for `combine`."""
    if not specs:
        raise ValueError(
            "rewards=[]: no reward is named; give at least one, as {name: hard_format}."
        )
    rewards = []
    for number, spec in enumerate(specs):
        field = f"rewards[{number}]"
        try:
            reward = _find(spec.name, field)(**spec.options)
        except TypeError as error:
            raise ValueError(
                f"{field}.options={dict(spec.options)!r} don't fit reward {spec.name!r}: {error}."
            ) from error
        rewards.append((spec.name, float(spec.weight), reward))
    return rewards


def _find(name: str, field: str) -> type[Reward]:
    if name in REWARDS:
        return REWARDS[name]
    known = ", ".join(REWARDS)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f"{field}.name={name!r} is unknown; known: {known}. "
            "Take one of these, or name your own as package.module:Name."
        )
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{field}.name={name!r} can't be loaded ({error}); known: {known}. "
            "Check that the module is installed or on PYTHONPATH, and the name after the colon."
        ) from error
