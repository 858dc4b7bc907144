"""The weighted sum of a run's rewards, and what is said when one of them breaks.

It decides nothing about a response; it calls the rewards, checks what they return, and adds. A rollout for
which any reward is unavailable has no sum: its outcome is that reward's `RewardUnavailableError`.
"""

import inspect
import math
import traceback
from collections.abc import Sequence
from numbers import Real
from typing import Any

from vr1_ray.rewards.base import FunctionReward, Reward, RewardOutcome, RewardUnavailableError
from vr1_ray.types import RewardInput, RewardOutput
from vr1_ray.wording import counted

NamedReward = tuple[str, float, Reward]  # name, weight, reward
# Reported under their bare names too: metrics of every run.
SHARED_PARTS = ("format", "accuracy", "answer_check/bounded")


class RewardError(RuntimeError):
    """A reward is broken. The message names the reward, its file and line, the prompt, and has the traceback.

    `fault` is the same for every rollout that breaks it alike: reward, class of the exception, file and line.
    """

    def __init__(self, message: str, fault: str = "") -> None:
        super().__init__(message, fault)  # both, so that it can be pickled
        self.fault = fault or message.split("\n")[0]

    def __str__(self) -> str:
        return str(self.args[0])


def combine(rewards: Sequence[NamedReward], reward_input: RewardInput) -> RewardOutput:
    """The combined reward of one rollout; see `combine_batch`. Raises RewardUnavailableError too."""
    [outcome] = combine_batch(rewards, [reward_input])
    if isinstance(outcome, RewardUnavailableError):
        raise outcome
    return outcome


def combine_batch(
    rewards: Sequence[NamedReward], reward_inputs: Sequence[RewardInput]
) -> list[RewardOutcome]:
    """For each rollout the weighted sum of several rewards, or the error of the first one unavailable.

    Parts come as `name` (the value before its weight) and `name/part`; the SHARED_PARTS also bare, from the
    first reward that reports them. Raises RewardError if a reward raises, or returns what is no
    reward.
    """
    names = [name for name, _, _ in rewards]
    if len(set(names)) < len(names):
        raise ValueError(f"rewards {names}: two share a name, so their parts would; rename one")
    outcomes_by_reward = [_score(name, reward, reward_inputs) for name, _, reward in rewards]
    return [_weighted_sum(rewards, outcomes) for outcomes in zip(*outcomes_by_reward, strict=True)]


def _weighted_sum(
    rewards: Sequence[NamedReward], outcomes: Sequence[RewardOutcome]
) -> RewardOutcome:
    value, parts = 0.0, {}
    for (name, weight, _), outcome in zip(rewards, outcomes, strict=True):
        if isinstance(outcome, RewardUnavailableError):
            return RewardUnavailableError(f"reward {name!r}: {outcome}")
        value += weight * outcome.value
        parts[name] = outcome.value
        for part, amount in outcome.parts.items():
            parts[f"{name}/{part}"] = amount
            if part in SHARED_PARTS:
                parts.setdefault(part, amount)
    return RewardOutput(value=value, parts=parts)


def _score(name: str, reward: Reward, reward_inputs: Sequence[RewardInput]) -> list[RewardOutcome]:
    try:
        outcomes = list(reward.score_batch(reward_inputs))
        if len(outcomes) != len(reward_inputs):
            raise ValueError(
                f"{len(outcomes)} outcomes for {counted(len(reward_inputs), 'rollout')}; return one for each, in order"
            )
        return [_checked(outcome) for outcome in outcomes]
    except RewardUnavailableError as error:  # raised for the batch as a whole
        return [error] * len(reward_inputs)
    except Exception as error:
        fault = f"reward {name!r} raised {type(error).__name__} at {_place(reward, error)}"
        raise RewardError(_report(name, reward, reward_inputs, error), fault) from error


def _checked(outcome: Any) -> RewardOutcome:
    """The outcome with plain floats. A bare number is a reward without parts."""
    if isinstance(outcome, RewardUnavailableError):
        return outcome
    if not isinstance(outcome, RewardOutput):
        outcome = RewardOutput(value=outcome)
    return RewardOutput(
        value=_number("value", outcome.value),
        parts={str(part): _number(part, amount) for part, amount in outcome.parts.items()},
    )


def _number(field: str, value: Any) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(
            f"{field}={value!r:.80} is no reward; return finite numbers, or raise RewardUnavailableError"
        )
    return float(value)


def _report(
    name: str, reward: Reward, reward_inputs: Sequence[RewardInput], error: Exception
) -> str:
    prompts = ", ".join(dict.fromkeys(item.prompt.prompt_id for item in reward_inputs))
    return (
        f"reward {name!r} failed at {_place(reward, error)} on prompt {prompts} "
        f"({counted(len(reward_inputs), 'rollout')}): {type(error).__name__}: {error}\n"
        + "".join(traceback.format_exception(error))
    )


def _place(reward: Reward, error: Exception) -> str:
    """The line of the reward's own file that the error passed through last, else where it is defined."""
    frames = traceback.extract_tb(error.__traceback__)
    code: Any = type(reward)
    if isinstance(reward, FunctionReward):
        code = inspect.unwrap(reward.function)
    try:
        file, line = inspect.getsourcefile(code), inspect.getsourcelines(code)[1]
    except (TypeError, OSError):  # made without a source file
        return f"{frames[-1].filename}, line {frames[-1].lineno}"
    own = [frame.lineno for frame in frames if frame.filename == file]
    return f"{file}, line {own[-1] if own else line}"
