"""From the `rewards` list of a config to rewards: finds classes and functions by name, checks their options.

Every mistake is a ValueError that names the field, as `rewards[1].options`. Option values are never printed,
since a key may have been written there by mistake.
"""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vr1_ray.config import RewardSpec
from vr1_ray.config.objects import NO_OBJECTS, Objects, named
from vr1_ray.config.tables import check_options, find
from vr1_ray.rewards.base import FunctionReward, Reward
from vr1_ray.rewards.combining import NamedReward


def load_rewards(
    specs: Sequence[RewardSpec],
    known: Mapping[str, type[Reward]],
    pool: str | None = None,
    objects: Objects = NO_OBJECTS,
) -> list[NamedReward]:
    """The rewards of `specs`, named so that no two share a name. `known` maps short names to classes.

    With `pool` only that pool's are made, under the same names.
    """
    if not specs:
        raise ValueError(
            "rewards=[]: no reward is named; give at least one, as {name: hard_format}."
        )
    seen: Counter[str] = Counter()
    rewards = []
    for number, spec in enumerate(specs):
        field = f"rewards[{number}]"
        if not math.isfinite(spec.weight):
            raise ValueError(f"{field}.weight={spec.weight}: not finite; give a number.")
        seen[spec.name] += 1
        name = spec.name if seen[spec.name] == 1 else f"{spec.name}#{seen[spec.name]}"
        if pool not in (None, spec.pool):
            continue
        found = _find(spec.name, field, known, objects)
        reward = _make(found, dict(spec.options), spec.name, field)
        rewards.append((name, float(spec.weight), reward))
    return rewards


def _find(
    name: str, field: str, known: Mapping[str, type[Reward]], objects: Objects
) -> Callable[..., Any] | Reward:
    found = named(name, objects, f"{field}.name")
    if found is name:
        found = find(known, name, f"{field}.name")
    _check_is_reward(found, f"{field}.name={name!r}")
    return found


def _check_is_reward(found: Any, what: str) -> None:
    if isinstance(found, Reward):  # made already, by the Python program that hands it over
        return
    if not inspect.isclass(found):
        if not callable(found):
            raise ValueError(
                f"{what} is of type {type(found).__name__}; name a function or a Reward class."
            )
        return
    if not issubclass(found, Reward):
        raise ValueError(
            f"{what} is no Reward; derive it from vr1_ray.rewards.Reward, or write a function."
        )
    if found.score is Reward.score and found.score_batch is Reward.score_batch:
        raise ValueError(f"{what} has neither `score` nor `score_batch`; write one of them.")


def _make(
    found: Callable[..., Any] | Reward, options: dict[str, Any], name: str, field: str
) -> Reward:
    if isinstance(found, Reward):
        if options:
            raise ValueError(f"{field}.options of {name!r}: it is made already; give it none.")
        return found
    is_class = inspect.isclass(found)
    leading = () if is_class else (None,)  # a function gets the reward input first
    check_options(found, options, f"{field}.options", f"reward {name!r}", *leading)
    try:
        return found(**options) if is_class else FunctionReward(found, **options)
    except ValueError as error:
        raise ValueError(f"{field}.options of {name!r}: {error}") from error
    except Exception as error:
        error.add_note(f"while making {field}, {name!r}")
        raise
