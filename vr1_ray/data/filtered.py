"""Choosing prompts by pass rate, and writing them as a data set that the same config reads as it is.

FOLDER/train.jsonl    one prompt a line, in the columns that `data.*_column` name, the others of its row, `pass_rate`
FOLDER/images/        its pictures, each once, by content hash, as the bytes they were
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from vr1_ray.config import DataConfig
from vr1_ray.config.filter import FilterConfig
from vr1_ray.data.marks import escape_other_marks
from vr1_ray.data.prompts import load_prompts
from vr1_ray.data.refusals import DataError
from vr1_ray.pictures import picture_type
from vr1_ray.types import EncodedImage, Prompt, RolloutGroup

Verdict = Literal["kept", "too easy", "too hard", "invalid"]
VERDICTS: tuple[Verdict, ...] = ("kept", "too easy", "too hard", "invalid")
PASS_RATE = "pass_rate"
FILE, IMAGES = "train.jsonl", "images"
NUM_READ_BACK = 64  # rows that are read again, to see that they are what they were


def pass_rate(group: RolloutGroup, by: str, pass_at: float) -> float:
    """The share of a scored group's responses that pass. Raises DataError if no reward reports `by`."""
    values = [
        rollout.reward if by == "reward" else rollout.reward_parts.get(by)
        for rollout in group.rollouts
    ]
    passed = [value >= pass_at for value in values if value is not None]
    if len(passed) < len(values):
        known = ", ".join(group.rollouts[values.index(None)].reward_parts)
        raise DataError(
            f"filter.by: {by!r} is no part of the run's rewards; use reward or one of {known}"
        )
    return sum(passed) / len(passed)


def verdict_of(rate: float | None, window: FilterConfig) -> Verdict:
    """What becomes of a prompt with this pass rate; None is one whose responses no reward could be found for.

    Example:
        verdict_of(0.5, FilterConfig(min_rate=0.1, max_rate=0.9))  # "kept"
    """
    if rate is None:
        return "invalid"
    if rate < window.min_rate:
        return "too hard"
    return "too easy" if rate > window.max_rate else "kept"


def count_verdicts(rates: Iterable[float | None], window: FilterConfig) -> dict[str, int]:
    """How many prompts there are of each verdict, in the order of VERDICTS."""
    counts = Counter(verdict_of(rate, window) for rate in rates)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def summary_table(counts: Mapping[str, int], window: FilterConfig) -> str:
    """The counts as a table for people."""
    total = sum(counts.values())
    ranges = {
        "kept": f"pass rate {window.min_rate:g} to {window.max_rate:g}",
        "too easy": f"above {window.max_rate:g}",
        "too hard": f"below {window.min_rate:g}",
        "invalid": "no reward could be found",
    }
    lines = [
        f"{name:<9} {count:>8,} {count / max(1, total):>7.1%}  {ranges[name]}"
        for name, count in counts.items()
    ]
    return "\n".join([f"{'prompts':<9} {total:>8,}", *lines])


def write_dataset(
    folder: Path, prompts: Sequence[Prompt], rates: Mapping[str, float], data: DataConfig
) -> Path:
    """Write the prompts with their pass rates (by prompt id); returns the file for `data.train`.

    The file is there whole or not at all. Raises DataError if it does not read as it was.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    unfinished = folder / f"{FILE}.unfinished"
    with unfinished.open("w", encoding="utf-8") as file:
        for prompt in prompts:
            for image in prompt.images:
                if image.content_hash not in names:
                    names[image.content_hash] = _write_image(folder, image)
            row = _row(prompt, names, data) | {PASS_RATE: rates[prompt.prompt_id]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / FILE)
    _read_back(folder / FILE, prompts, data)
    return folder / FILE


def _row(prompt: Prompt, names: Mapping[str, str], data: DataConfig) -> dict[str, Any]:
    row = dict(prompt.metadata)
    row[data.prompt_column] = escape_other_marks(prompt.question)
    if data.images_column:
        row[data.images_column] = [names[image.content_hash] for image in prompt.images]
    struct, _, name = data.answer_column.partition(".")
    row[struct] = {name: prompt.answer} if name else prompt.answer
    return row


def _write_image(folder: Path, image: EncodedImage) -> str:
    """Keep a picture's file; its path as a row names it."""
    kind = picture_type(image.data).removeprefix("image/")
    name = f"{IMAGES}/{image.content_hash}.{kind}"
    path = folder / name
    if not path.is_file() or path.stat().st_size != len(image.data):
        path.write_bytes(image.data)
    return name


def _read_back(file: Path, prompts: Sequence[Prompt], data: DataConfig) -> None:
    """The first rows must come back as they were: the same question, pictures and answer, so the same ids."""
    some = replace(data, image_root="", max_rows=NUM_READ_BACK, bad_rows="error")
    found = load_prompts(some, str(file), data.split, field="filter.output")
    for number, (new, old) in enumerate(zip(found, prompts, strict=False)):
        if _content(new) != _content(old):
            raise DataError(
                f"filter.output: row {number} of {file} reads as another prompt than the one that was filtered "
                f"(question {new.question!r:.80}); set data.prompt_column, answer_column and images_column to plain names"
            )


def _content(prompt: Prompt) -> tuple[str, list[str], str]:
    return prompt.question, [image.content_hash for image in prompt.images], prompt.answer
