"""The saved groups of a run as the page holds them: an index of all, and the texts and token colours of each step packed.

The index has what filters, order and the same question over the steps need, a column a list. Responses are
unpacked by the page when a group of their step is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vr1_ray.pictures import split_at_marks
from vr1_ray.report.lengths import Lengths, is_right
from vr1_ray.report.packing import Pictures, packed_json
from vr1_ray.report.records import ReportedRun
from vr1_ray.report.tokens import token_colours
from vr1_ray.types import Prompt, Rollout, RolloutGroup

COLUMNS = ("step", "stage", "prompt", "place", "size", "right", "cut", "invalid", "longest", "mean", "reward", "version", "high", "low")  # fmt: skip


@dataclass(kw_only=True)
class PackedGroups:
    """The groups of one run, packed. `texts` and `tokens` are parts of the page by step.

    Example:
        pack_groups(run, Pictures(), share=1.0).index["columns"]["step"]    # [1, 1, 2, ...]
    """

    index: dict[str, Any]
    texts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    num_saved: int = 0
    num_kept: int = 0
    num_lost_pictures: int = 0


def pack_groups(run: ReportedRun, pictures: Pictures, share: float = 1.0) -> PackedGroups:
    """Read the run's groups once and pack that share of them, evenly over the steps; lengths count all of them."""
    packer = _Packer(run, pictures)
    lengths = Lengths()
    seen = kept = 0
    found = packer.found
    for groups in run.groups():
        chosen = []
        for group in groups:
            lengths.add(group)
            seen += 1
            if int(seen * share + 1e-9) > kept:
                kept += 1
                chosen.append(group)
        packer.add_step(chosen)
    found.num_saved, found.num_kept = seen, kept
    found.index |= {"lengths": lengths.histograms(), "measure": lengths.measure}
    return found


class _Packer:
    def __init__(self, run: ReportedRun, pictures: Pictures) -> None:
        self.run, self.pictures = run, pictures
        self.columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.prompts: list[list[Any]] = []
        self.places: dict[str, int] = {}
        self.parts: list[str] = []  # names of reward parts
        self.found = PackedGroups(
            index={"columns": self.columns, "prompts": self.prompts, "parts": self.parts}
        )

    def add_step(self, groups: Sequence[RolloutGroup]) -> None:
        if not groups:
            return
        texts, colours = [], []
        for place, group in enumerate(groups):
            self._add_row(group, place)
            texts.append([self._response(rollout) for rollout in group.rollouts])
            colours.append([token_colours(one, self.run.token_widths) for one in group.rollouts])
        step = groups[0].step
        self.found.texts[step] = packed_json(texts)
        if any(one is not None for group in colours for one in group):
            self.found.tokens[step] = packed_json(colours)

    def _response(self, rollout: Rollout) -> list[Any]:
        """[index, attempt, status, tokens, reward, advantage, parts, text]"""
        own = self._own_parts(rollout)
        for name in own:
            if name not in self.parts:
                self.parts.append(name)
        return [
            rollout.index,
            rollout.attempt,
            rollout.status,
            rollout.num_tokens,
            _rounded(rollout.reward),
            _rounded(rollout.advantage),
            [_rounded(own.get(name)) for name in self.parts],
            rollout.text,
        ]

    def _add_row(self, group: RolloutGroup, place: int) -> None:
        rollouts = group.rollouts
        rewards = [one.reward for one in rollouts if one.reward is not None]
        tokens = [one.num_tokens for one in rollouts]
        parts = [self._own_parts(one) for one in rollouts]
        names = list(dict.fromkeys(name for own in parts for name in own))
        row = {
            "step": group.step,
            "stage": group.stage.number,
            "prompt": self._prompt(group.prompt),
            "place": place,
            "size": len(rollouts),
            "right": sum(is_right(one) for one in rollouts),
            "cut": sum(one.status == "truncated" for one in rollouts),
            "invalid": sum(one.status in ("invalid", "aborted") for one in rollouts),
            "longest": max(tokens, default=0),
            "mean": round(sum(tokens) / len(tokens), 1) if tokens else 0,
            "reward": _rounded(sum(rewards) / len(rewards)) if rewards else None,
            "version": group.policy_version,
            "high": {name: _rounded(max(_having(parts, name))) for name in names},
            "low": {name: _rounded(min(_having(parts, name))) for name in names},
        }
        for name, column in self.columns.items():
            column.append(row[name])

    def _own_parts(self, rollout: Rollout) -> dict[str, float]:
        """Without those that stand there twice, as `accuracy` and as `hard_format/accuracy`."""
        parts = rollout.reward_parts
        return {
            name: value
            for name, value in parts.items()
            if "/" not in name or name.split("/", 1)[1] not in parts
        }

    def _prompt(self, prompt: Prompt) -> int:
        if prompt.prompt_id not in self.places:
            self.places[prompt.prompt_id] = len(self.prompts)
            question = "".join(split_at_marks(prompt.question)).strip()
            self.prompts.append([prompt.prompt_id, question, prompt.answer, self._pictures(prompt)])
        return self.places[prompt.prompt_id]

    def _pictures(self, prompt: Prompt) -> list[int]:
        """Numbers of the prompt's pictures; one that can't be read any more is -1, and the page says so in its place."""
        places = []
        for image in prompt.images:
            try:
                places.append(self.pictures.place(image))
            except (ValueError, OSError):
                self.found.num_lost_pictures += 1
                places.append(-1)
        return places


def _having(parts: Sequence[dict[str, float]], name: str) -> list[float]:
    return [own[name] for own in parts if name in own]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
