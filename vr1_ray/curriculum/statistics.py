"""What was seen in one stage: running means over its steps, on plain numbers."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

MEANS = {  # field of the summary -> metric of a step
    "mean_response_tokens": "response_tokens/mean",
    "truncation_rate": "truncation_rate",
    "informative_group_rate": "informative_group_rate",
    "accuracy": "accuracy",
    "reward": "reward/mean",
}
WINDOW = 5  # steps at each end of a stage, over which its length is compared


@dataclass
class StageStatistics:
    """Running statistics of one stage. A metric that a step does not report, or that is no number, is left out of its mean.

    Example:
        seen = StageStatistics()
        seen.add({"response_tokens/mean": 80.0, "response_tokens/max": 96.0, "accuracy": 0.5})
        seen.summary()["accuracy"]  # 0.5
    """

    steps: int = 0
    longest_response: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    first_lengths: list[float] = field(default_factory=list)
    last_lengths: list[float] = field(default_factory=list)

    def add(self, metrics: dict[str, float]) -> None:
        """Count one more step."""
        self.steps += 1
        metrics = {
            name: value
            for name, value in metrics.items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        self.longest_response = max(self.longest_response, metrics.get("response_tokens/max", 0.0))
        for name, metric in MEANS.items():
            if metric in metrics:
                self.sums[name] = self.sums.get(name, 0.0) + float(metrics[metric])
                self.counts[name] = self.counts.get(name, 0) + 1
        if "response_tokens/mean" in metrics:
            length = float(metrics["response_tokens/mean"])
            self.first_lengths = [*self.first_lengths, length][:WINDOW]
            self.last_lengths = [*self.last_lengths, length][-WINDOW:]

    def summary(self) -> dict[str, float | None]:
        """Means over the steps seen so far; None where nothing was reported."""
        means = {
            name: self.sums[name] / self.counts[name] if name in self.sums else None
            for name in MEANS
        }
        return {
            "steps_seen": self.steps,
            "longest_response": self.longest_response or None,
            "mean_response_tokens_at_start": _mean(self.first_lengths),
            "mean_response_tokens_at_end": _mean(self.last_lengths),
            **means,
        }

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "StageStatistics":
        """Raises ValueError unless `state` has exactly the fields of this class."""
        known = {item.name for item in fields(cls)}
        if set(state) != known:
            raise ValueError(
                f"curriculum state: stage statistics have fields {sorted(state)}, expected {sorted(known)}; "
                "resume from a checkpoint of this version."
            )
        return cls(
            steps=state["steps"],
            longest_response=state["longest_response"],
            sums=dict(state["sums"]),
            counts=dict(state["counts"]),
            first_lengths=list(state["first_lengths"]),
            last_lengths=list(state["last_lengths"]),
        )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
