"""What a run folder holds, as a report shows it: figures, events, settings, saved groups. Live runs and finished ones alike."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.config import RunConfig, load_config
from vr1_ray.config.differences import NO_DEFAULT, key_values
from vr1_ray.report.records import (
    ReportedRun,
    SettingValue,
    TokenWidths,
    no_widths,
)
from vr1_ray.report.tokens import widths_of
from vr1_ray.runs.events import events_of
from vr1_ray.runs.run_folder import CONFIG, METRICS
from vr1_ray.runs.run_state import state_word
from vr1_ray.tracking.jsonl import read_rows
from vr1_ray.tracking.rollout_store import from_json, saved_steps, step_file
from vr1_ray.types import EncodedImage, RolloutGroup

TOKENIZER = "tokenizer.json"
_SAVED = {
    "none": "it saves no groups (rollout.save: none)",
    "all": "all groups of each step were saved",
    "sampled": "{} groups of each step were saved (rollout.save_groups_per_step)",
}
logger = logging.getLogger(__name__)


def reported_run(folder: Path, name: str = "") -> ReportedRun:
    """The run in a folder. Raises ValueError if it has no step yet; what else it lacks is left out of the report."""
    rows = read_rows(folder / METRICS)
    if not rows:
        raise ValueError(
            f"run: {folder} has no step to report yet; its state: {state_word(folder)} (vr1 status {folder})"
        )
    config = _config_of(folder)
    return ReportedRun(
        name=name or folder.name,
        kind=config.kind if config else "run",
        state=state_word(folder),
        rows=rows,
        events=events_of(folder, rows),
        settings=_settings(config) if config else (),
        groups=lambda: _groups(folder),
        token_widths=_token_widths(folder, config),
        saving=_saving(config),
    )


def reported_runs(folders: Sequence[Path], top: Path) -> list[ReportedRun]:
    """Of the runs of a recipe those whose curves are shown: of RL, or where there is none, of the cold start.

    Their names are from the recipe's folder on.
    """
    found = [folder for folder in folders if read_rows(folder / METRICS)]
    runs = [
        reported_run(folder, str(folder.relative_to(top)) if folder != top else top.name)
        for folder in found
    ]
    return [run for run in runs if run.kind == "rl"] or runs


def _config_of(folder: Path) -> RunConfig | None:
    """The resolved config; None, and a note, for one that this version can't read."""
    if not (folder / CONFIG).is_file():
        return None
    try:
        return load_config(folder / CONFIG)
    except ValueError as error:
        logger.info("%s: no settings in the report: %s", folder, str(error).splitlines()[0])
        return None


def _settings(config: RunConfig) -> list[SettingValue]:
    return [
        SettingValue(
            key=one.key,
            value=json.dumps(one.value, ensure_ascii=False),
            default=""
            if one.default is NO_DEFAULT
            else json.dumps(one.default, ensure_ascii=False),
            is_changed=one.is_changed,
        )
        for one in key_values(config)
    ]


def _saving(config: RunConfig | None) -> str:
    if config is None or config.kind != "rl":
        return ""
    return _SAVED[config.rollout.save].format(config.rollout.save_groups_per_step)


def _groups(folder: Path) -> Iterator[Sequence[RolloutGroup]]:
    """The saved groups step by step; one whose picture is gone has an empty one in its place, which the page tells."""
    rollouts = folder / "rollouts"
    for step in saved_steps(folder):
        lines = step_file(rollouts, step).read_text(encoding="utf-8").splitlines()
        yield [_group(json.loads(line), rollouts / "images") for line in lines]


def _group(row: dict[str, Any], images: Path) -> RolloutGroup:
    names = row["prompt"]["images"]
    lost = [name for name in names if not (images / Path(name).name).is_file()]
    if not lost:
        return from_json(row, images)
    group = from_json({**row, "prompt": {**row["prompt"], "images": []}}, images)
    pictures = tuple(EncodedImage(content_hash=Path(name).stem) for name in names)
    return replace(group, prompt=replace(group.prompt, images=pictures))


def _token_widths(folder: Path, config: RunConfig | None) -> TokenWidths:
    """How many characters each token covers, by the tokenizer of the run's policy or of the one that it began with."""
    places = [folder / "policy", *sorted((folder / "checkpoints").glob("step_*/policy"))]
    places += [Path(config.model.path)] if config else []
    path = next((place / TOKENIZER for place in places if (place / TOKENIZER).is_file()), None)
    if path is None:
        return no_widths
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    known: dict[int, str] = {}

    def piece(token: int) -> str:
        if token not in known:
            known[token] = tokenizer.decode([token], skip_special_tokens=True)
        return known[token]

    def widths(ids: Sequence[int], text: str) -> list[int] | None:
        found = widths_of([piece(token) for token in ids], text)
        return found if found is not None else _by_prefixes(tokenizer, ids, text)

    return widths


_MAX_BY_PREFIXES = 1_024  # tokens; the work grows with their square


def _by_prefixes(tokenizer: Any, ids: Sequence[int], text: str) -> list[int] | None:
    """The slow way, for texts whose characters are split between tokens (Chinese, emoji): what each prefix reads."""
    if len(ids) > _MAX_BY_PREFIXES:
        return None
    ends: list[int] = []
    for end in range(1, len(ids) + 1):
        prefix = tokenizer.decode(list(ids[:end]), skip_special_tokens=True).rstrip("\ufffd")
        if not text.startswith(prefix):
            return None
        ends.append(max(len(prefix), ends[-1] if ends else 0))
    if not ends or ends[-1] != len(text):
        return None
    return [end - before for before, end in zip([0, *ends], ends, strict=False)]
