"""Length by correctness: the paper's argument for PTST, that after the cold start long answers are mostly wrong, on one's own run."""

from collections import defaultdict
from typing import Any

from vr1_ray.types import Rollout, RolloutGroup

MAX_BINS = 24


class Lengths:
    """Counts responses of saved groups by stage, length and whether their answer is right.

    Example:
        lengths = Lengths()
        lengths.add(group)
        lengths.histograms()    # {"width": 4, "stages": [{"stage": 1, "cap": 96, "right": [0, 3], "wrong": [1, 0]}]}
    """

    def __init__(self) -> None:
        self._counts: dict[int, dict[tuple[int, bool], int]] = defaultdict(lambda: defaultdict(int))
        self._caps: dict[int, int] = {}
        self.measure = ""  # what "right" means here; "" before any response

    def add(self, group: RolloutGroup) -> None:
        """Count a group; an invalid response has no length that a policy chose."""
        stage = group.stage
        self._caps[stage.number] = max(self._caps.get(stage.number, 0), stage.max_response_tokens)
        for rollout in group.rollouts:
            if rollout.status in ("invalid", "aborted"):
                continue
            if not self.measure:
                self.measure = "right" if "accuracy" in rollout.reward_parts else "rewarded"
            self._counts[stage.number][rollout.num_tokens, is_right(rollout)] += 1

    def histograms(self) -> dict[str, Any]:
        """Bins of one width for all stages: bin k holds lengths from k * width + 1 to (k + 1) * width."""
        longest = max(
            (length for counts in self._counts.values() for length, _ in counts), default=0
        )
        width = max(-(-longest // MAX_BINS), 1)
        stages = []
        for number, counts in sorted(self._counts.items()):
            bins = {True: [0] * (-(-longest // width)), False: [0] * (-(-longest // width))}
            for (length, right), count in counts.items():
                bins[right][max(length - 1, 0) // width] += count
            stages.append(
                {
                    "stage": number,
                    "cap": self._caps[number],
                    "right": bins[True],
                    "wrong": bins[False],
                }
            )
        return {"width": width, "stages": stages}


def is_right(rollout: Rollout) -> bool:
    """Whether the answer is right; where no reward measures that, whether there was a reward."""
    accuracy = rollout.reward_parts.get("accuracy")
    return (rollout.reward or 0.0) > 0.0 if accuracy is None else accuracy >= 0.5
