"""Rollouts without a reward: counted, told, and above a share the end of the run. Never taken for a reward of 0.

A reward that is unavailable (a judge's server is down) says nothing of the response. One that raises does: it is
often the long, the odd or the right response that breaks it, and what is drawn in its place is another. So an
exception is told at once, its traceback is kept, and few are enough to end the run.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from vr1_ray.actors.rewards.reward_actor import InvalidReward
from vr1_ray.actors.rollouts.sample_request import SampleRequest, StepBooks
from vr1_ray.actors.waiting import ActorError
from vr1_ray.config import InvalidRolloutsConfig
from vr1_ray.tracking.privacy import as_folder, private_folder

REWARD_LOG = Path("logs") / "reward_errors.log"


class InvalidRolloutsError(ActorError):
    """Too many rollouts of a step have no reward. The message names reward, prompt and cause."""


class InvalidRollouts:
    """Counts them over a run. Each place where a reward raises is told at its first, 10th, 100th ... time.

    Example:
        invalid = InvalidRollouts(config.invalid_rollouts, note=print, log=Path("runs/demo/logs/reward_errors.log"))
        invalid.count(books, request, InvalidReward(reason="llm_judge: no answer within 20 s"))
    """

    def __init__(
        self,
        config: InvalidRolloutsConfig,
        *,
        note: Callable[[str], None] = print,
        log: Path | None = None,
    ) -> None:
        self.config, self.note, self.log = config, note, log
        self.times: Counter[str] = Counter()  # by place and kind of exception

    def count(self, books: StepBooks, request: SampleRequest, outcome: InvalidReward) -> None:
        """One more of the request's step. Raises InvalidRolloutsError if that is too many."""
        counts, samples = books.counts, books.num_samples
        counts["invalid"] += 1
        if outcome.fault:
            counts["raised"] += 1
            self._tell(request, outcome)
            rate = self.config.max_error_rate
            # One of a few samples is more than any small share: it alone ends a run only where none may be.
            if counts["raised"] > (max(1, rate * samples) if rate else 0):
                raise InvalidRolloutsError(
                    self._broken(request, outcome, counts["raised"], samples)
                )
        if counts["invalid"] > self.config.max_rate * samples:
            # A traceback that is in the log needs not be on the screen too.
            is_kept = bool(outcome.fault and self.log)
            reason = outcome.reason.splitlines()[0] if is_kept else outcome.reason
            raise InvalidRolloutsError(
                f"{reason}\n(step {request.step}: {counts['invalid']} of {samples} rollouts have no "
                f"reward, more than invalid_rollouts.max_rate {self.config.max_rate:g}; the first cause is above, "
                f"for prompt {request.prompt.prompt_id})"
            )

    def _tell(self, request: SampleRequest, outcome: InvalidReward) -> None:
        self.times[outcome.fault] += 1
        times = self.times[outcome.fault]
        if times != 10 ** (len(str(times)) - 1):  # 1, 10, 100 ...
            return
        where = f"; traceback in {self.log}" if self._keep(request, outcome) else ""
        count = "" if times == 1 else f", {times} times so far"
        self.note(
            f"ALARM step {request.step}: {outcome.reason.splitlines()[0]}{count}; the response is drawn again, so "
            f"what is trained on is no longer a fair sample{where}"
        )

    def _keep(self, request: SampleRequest, outcome: InvalidReward) -> bool:
        if self.log is None:
            return False
        try:
            private_folder(self.log.parent)
            with open(self.log, "a", encoding="utf-8", opener=as_folder) as file:
                file.write(f"step {request.step}, {outcome.reason.rstrip()}\n\n")
        except OSError as error:  # a full disk costs the traceback, not the run
            self.note(f"{self.log} could not be written: {error}")
            return False
        return True

    def _broken(
        self, request: SampleRequest, outcome: InvalidReward, raised: int, samples: int
    ) -> str:
        where = f" The tracebacks are in {self.log}." if self.log else ""
        return (
            f"{outcome.reason.splitlines()[0]}\n(step {request.step}: a reward raised for {raised} of {samples} "
            f"rollouts, more than invalid_rollouts.max_error_rate {self.config.max_error_rate:g}. Mend it: what it "
            f"can't read earns 0, what can't be known now raises RewardUnavailableError.{where})"
        )
