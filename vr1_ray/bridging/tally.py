"""Counts of a bridging run, taken row by row: what went into and came out of each stage and rule.

`words` are those of the paper's Table 4 (Wait, Hmm, Mistake, Alternatively, Check), counted as whole words
without regard to case: the paper doesn't say how it counted.
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from vr1_ray.bridging.rows import Outcome
from vr1_ray.bridging.rules import RuleBook
from vr1_ray.bridging.stages import MODEL_OF, STAGES
from vr1_ray.config import BridgeConfig

REFLECTION_WORDS = ("Wait", "Hmm", "Mistake", "Alternatively", "Check")
_REFLECTION = re.compile(rf"\b({'|'.join(REFLECTION_WORDS)})\b", re.IGNORECASE)
HISTOGRAM_BINS = 12


@dataclass(kw_only=True, slots=True)
class Usage:
    """Requests and tokens of one stage, kept replies included; `new` ones were asked for in this run."""

    replies: int = 0
    new_replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    new_cost: float = 0.0


class Tally:
    """Counts over all outcomes.

    Example:
        tally = Tally(config, rules)
        tally.add(outcome)
        tally.counts()["dropped"]  # {"wrong_answer": 90, "looping": 12}
    """

    def __init__(self, config: BridgeConfig, rules: RuleBook) -> None:
        self.config, self.rules = config, rules
        self.asked = self.kept = 0
        self.stage_in: Counter[str] = Counter()
        self.stage_out: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()  # rows, by the first reason
        self.hits: Counter[str] = Counter()  # candidates, by every rule
        self.rewritten: Counter[str] = Counter()  # candidates
        self.candidates = 0
        self.words: Counter[str] = Counter()
        self.thought_words: Counter[int] = Counter()  # length in words -> chains
        self.usage = {stage: Usage() for stage in STAGES}

    def add(self, outcome: Outcome) -> None:
        """Count one row."""
        self.asked += 1
        for stage in STAGES:
            self.stage_in[stage] += 1
            if stage == outcome.failed_at:
                break
            self.stage_out[stage] += 1
        for stage, replies in outcome.replies.items():
            self._add_usage(stage, replies)
        for candidate in outcome.candidates:
            self.candidates += 1
            self.hits.update(candidate.dropped_by)
            self.rewritten.update(candidate.rewritten_by)
        if outcome.chosen is None:
            self.dropped[outcome.reason.partition(":")[0]] += 1
            return
        self.kept += 1
        thought = outcome.chosen.thought
        self.thought_words[len(thought.split())] += 1
        self.words.update(word.capitalize() for word in _REFLECTION.findall(thought))

    def _add_usage(self, stage: str, replies: list[Any]) -> None:
        usage, endpoint = self.usage[stage], getattr(self.config, MODEL_OF[stage])
        for reply in replies:
            cost = (
                reply.prompt_tokens * endpoint.input_price
                + reply.completion_tokens * endpoint.output_price
            ) / 1e6
            usage.replies += 1
            usage.new_replies += reply.is_new
            usage.prompt_tokens += reply.prompt_tokens
            usage.completion_tokens += reply.completion_tokens
            usage.cost += cost
            usage.new_cost += cost * reply.is_new

    def counts(self) -> dict[str, Any]:
        """All counts, as JSON can hold them; rules in the file's order, also those that dropped nothing."""
        names = [rule.name for rule in self.rules.rules]
        order = [*sorted(set(self.dropped) - set(names)), *names]
        return {
            "asked": self.asked,
            "kept": self.kept,
            "dropped": {name: self.dropped[name] for name in order},
            "rule_hits": {name: self.hits[name] for name in names},
            "rewritten": {item.name: self.rewritten[item.name] for item in self.rules.rewrites},
            "candidates": self.candidates,
            "stages": {
                stage: {"in": self.stage_in[stage], "out": self.stage_out[stage]}
                for stage in STAGES
            },
            "reflection_words": {word: self.words[word] for word in REFLECTION_WORDS},
            "thought_words": self.histogram(),
            "usage": {stage: asdict(usage) for stage, usage in self.usage.items()},
        }

    def histogram(self) -> list[tuple[int, int, int]]:
        """(first, last, chains) of each bin of thought lengths in words; [] without chains."""
        if not self.thought_words:
            return []
        least, most = min(self.thought_words), max(self.thought_words)
        width = max(1, -(-(most - least + 1) // HISTOGRAM_BINS))
        bins = []
        for first in range(least, most + 1, width):
            last = min(first + width - 1, most)
            chains = sum(n for words, n in self.thought_words.items() if first <= words <= last)
            bins.append((first, last, chains))
        return bins
