"""Saved rollouts: what the policy said, to browse and to replay.

    RUN_FOLDER/rollouts/step_000012.jsonl   one RolloutGroup per line, every field by its own name
    RUN_FOLDER/rollouts/images/HASH.png     each different image once, the file as it was encoded

In a line, `prompt.images` holds the file names of the images; tuples are JSON arrays. `load_groups` reads
back records equal to those saved. With save=sampled a few groups of every step are kept, chosen by the
hash of (step, prompt id), so a resumed run keeps the same ones. A step's file is written whole or not at all.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vr1_ray.tracking.privacy import private_folder
from vr1_ray.types import EncodedImage, Prompt, Rollout, RolloutGroup, Stage, TokenSpan

_SIGNATURES = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"RIFF", ".webp"),
)


class RolloutStore:
    """Saves the groups of a run.

    Example:
        store = RolloutStore(Path("runs/demo"), save="sampled", groups_per_step=2)
        store.save(groups)
        load_groups(Path("runs/demo"), step=12)
    """

    def __init__(
        self,
        folder: Path,
        save: Literal["none", "sampled", "all"] = "sampled",
        groups_per_step: int = 2,
    ) -> None:
        self.folder = Path(folder) / "rollouts"
        self.mode = save
        self.groups_per_step = groups_per_step

    def save(self, groups: Sequence[RolloutGroup]) -> None:
        """Saves groups, by the mode, under the step each carries. A step saved before is replaced."""
        for step in sorted({group.step for group in groups}):
            chosen = self._choose([group for group in groups if group.step == step])
            if chosen:
                self._save_step(step, chosen)

    def rewind(self, step: int) -> None:
        """Forget what was saved of the steps after `step`: they are done again."""
        for later in saved_steps(self.folder.parent):
            if later > step:
                step_file(self.folder, later).unlink()

    def _choose(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        if self.mode == "all":
            return groups
        count = self.groups_per_step if self.mode == "sampled" else 0
        ids = sorted((_draw(group), group.prompt.prompt_id) for group in groups)[:count]
        kept = {prompt_id for _, prompt_id in ids}
        return [group for group in groups if group.prompt.prompt_id in kept]

    def _save_step(self, step: int, groups: list[RolloutGroup]) -> None:
        (private_folder(self.folder) / "images").mkdir(exist_ok=True)
        for group in groups:
            for image in group.prompt.images:
                path = self.folder / "images" / image_file(image)
                if not path.exists():
                    _write(path, image.data)
        lines = "".join(json.dumps(to_json(group)) + "\n" for group in groups)
        _write(step_file(self.folder, step), lines.encode())


def load_groups(folder: Path, step: int) -> list[RolloutGroup]:
    """The groups saved for a step of the run in `folder`. Raises ValueError if there are none."""
    rollouts = Path(folder) / "rollouts"
    path = step_file(rollouts, step)
    if not path.is_file():
        steps = saved_steps(folder)
        have = (
            f"saved are steps {steps[0]} to {steps[-1]}"
            if steps
            else "none are; was rollouts.save none?"
        )
        raise ValueError(f"step: {step} has no saved rollouts in {rollouts}; {have}")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [from_json(json.loads(line), rollouts / "images") for line in lines]


def saved_steps(folder: Path) -> list[int]:
    """The steps that have saved rollouts, in order."""
    return sorted(
        int(path.stem.removeprefix("step_"))
        for path in (Path(folder) / "rollouts").glob("step_*.jsonl")
    )


def step_file(rollouts: Path, step: int) -> Path:
    """The file of one step in a rollouts folder."""
    return rollouts / f"step_{step:06d}.jsonl"


def image_file(image: EncodedImage) -> str:
    """The file name of an image: its content hash, with the ending of its format."""
    ending = next((ending for start, ending in _SIGNATURES if image.data.startswith(start)), ".img")
    return image.content_hash + ending


def to_json(group: RolloutGroup) -> dict[str, Any]:
    """A group as plain JSON, with file names in the place of images."""
    prompt = {
        **_fields(group.prompt),
        "images": [image_file(image) for image in group.prompt.images],
    }
    rollouts = [
        {**_fields(rollout), "version_spans": [_fields(span) for span in rollout.version_spans]}
        for rollout in group.rollouts
    ]
    return {**_fields(group), "prompt": prompt, "stage": _fields(group.stage), "rollouts": rollouts}


def from_json(row: dict[str, Any], images: Path) -> RolloutGroup:
    """The group of one line; its images are read from the folder `images`."""
    files = [images / Path(name).name for name in row["prompt"]["images"]]
    pictures = tuple(EncodedImage(content_hash=file.stem, held=file.read_bytes()) for file in files)
    prompt = Prompt(**{**row["prompt"], "images": pictures})
    return RolloutGroup(
        **{
            **row,
            "prompt": prompt,
            "stage": Stage(**row["stage"]),
            "prompt_ids": tuple(row["prompt_ids"]),
            "rollouts": tuple(_rollout(item) for item in row["rollouts"]),
        }
    )


def _rollout(row: dict[str, Any]) -> Rollout:
    tuples = ("response_ids", "rollout_logprobs", "policy_logprobs", "ref_logprobs")
    values = {key: tuple(row[key]) if row[key] is not None else None for key in tuples}
    spans = tuple(TokenSpan(**span) for span in row["version_spans"])
    return Rollout(**{**row, **values, "version_spans": spans})


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _draw(group: RolloutGroup) -> bytes:
    return hashlib.sha256(f"{group.step}/{group.prompt.prompt_id}".encode()).digest()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
