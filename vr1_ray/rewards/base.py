"""What a response earns: the `Reward` interface. Plain Python; it knows no engine, no trainer, no Ray.

A reward sees everything known of a rollout (`RewardInput`: response, token count, finish reason, question,
images, reference answer, the row's other columns, stage, step) and returns a value with named parts, each
part a metric. Three things can happen instead:

- the response is malformed: that is data, it earns 0;
- the reward can't be known now (a judge's endpoint is down): raise `RewardUnavailableError`, and the rollout
  is invalid, never a 0;
- anything else is raised: the reward is broken, and `RewardError` says so with prompt, file, line, traceback. The
  response is drawn again, which is no fair sample any more (it is seldom by chance which response breaks a reward):
  the run says so at once, and ends above `invalid_rollouts.max_error_rate`.

To add one, write one file and a row in `vr1_ray/rewards/__init__.py`, or keep it outside the package and
name it in the YAML as `package.module:Name`, looked for on PYTHONPATH and in the current folder. A plain
function will do (`my_rewards.py`):

    def is_short(reward_input: RewardInput, max_tokens: int = 50) -> float:
        return float(reward_input.num_tokens <= max_tokens)

So does a class; it has `score` (one rollout) or `score_batch` (all rollouts of a prompt at once), and the
options of the YAML come as keyword arguments:

    class MentionsColour(Reward):
        "1 if the response names the colour in the middle of the first image."

        def __init__(self, red: str = "red", other: str = "blue") -> None:
            self.names = {True: red, False: other}

        def score(self, reward_input: RewardInput) -> RewardOutput:
            image = reward_input.images()[0]
            red, _, blue = image.getpixel((image.width // 2, image.height // 2))
            named = float(self.names[red > blue] in reward_input.response)
            return RewardOutput(value=named, parts={"named": named})

    rewards:
      - {name: hard_format, weight: 1.0}
      - {name: "my_rewards:is_short", weight: 0.1, options: {max_tokens: 80}}
      - {name: "my_rewards:MentionsColour", weight: 0.1, options: {other: green}}
"""

from collections.abc import Callable, Sequence
from typing import Any

from vr1_ray.types import RewardInput, RewardOutput


class RewardUnavailableError(RuntimeError):
    """The reward of a rollout can't be known now, through no fault of the response. Makes it invalid."""


RewardOutcome = RewardOutput | RewardUnavailableError


class Reward:
    """One reward. Made once per reward actor, then asked for many rollouts; give it one of the two methods.

    Example:
        HardFormatReward().score(reward_input).value
    """

    def score(self, reward_input: RewardInput) -> RewardOutput:
        """The reward of one rollout. Raises RewardUnavailableError."""
        [outcome] = self.score_batch([reward_input])
        if isinstance(outcome, RewardUnavailableError):
            raise outcome
        return outcome

    def score_batch(self, reward_inputs: Sequence[RewardInput]) -> Sequence[RewardOutcome]:
        """One outcome per rollout, in order: its reward, or the error that says why there is none."""
        return [self._outcome(reward_input) for reward_input in reward_inputs]

    def _outcome(self, reward_input: RewardInput) -> RewardOutcome:
        try:
            return self.score(reward_input)
        except RewardUnavailableError as error:
            return error
        except Exception as error:
            error.add_note(
                f"while scoring prompt {reward_input.prompt.prompt_id}, rollout {reward_input.rollout.index}"
            )
            raise


class FunctionReward(Reward):
    """A plain function as a reward.

    Example:
        FunctionReward(is_short, max_tokens=80)
    """

    def __init__(self, function: Callable[..., Any], /, **options: Any) -> None:
        self.function = function
        self.options = options

    def score(self, reward_input: RewardInput) -> RewardOutput:
        return self.function(reward_input, **self.options)
