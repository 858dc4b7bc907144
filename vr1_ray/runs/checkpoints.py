"""Checkpoints of a run: whole and unchanged, or not used; and how a run finds the one to go on from.

    checkpoints/step_000010/
        policy/          Hugging Face folder: loads in plain transformers and vLLM
        trainer/         DeepSpeed state and RNG of every rank
        manifest.json    written last: step, state of the loop, size and SHA-256 of every file

A checkpoint is written under a temporary name, brought to the disk and renamed when complete, so that a
crash while saving leaves the one before in place. Reading trusts nothing: a file that is missing, has
another size or another checksum makes the checkpoint torn, and the one before is used.

When a run saves, and what it does when that fails, is not here but in `saving.py`.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
FOLDER_NAME = re.compile(r"step_(\d{6,})")  # a copy beside them, such as step_000010.bak, is none


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was found sound.

    Example:
        Checkpoint(step=10, folder=Path("runs/demo/checkpoints/step_000010"), state={"stage": 1, ...})
    """

    step: int
    folder: Path
    state: dict[str, Any]
    """What the loop gave to `save`."""
    skipped: tuple[str, ...] = ()
    """Newer checkpoints that are torn: one sentence each, with the reason."""


class TornCheckpointsError(ValueError):
    """There are checkpoints, and every one is torn."""


class Checkpoints:
    """The checkpoints of one run folder.

    Example:
        checkpoints = Checkpoints(run_folder)
        checkpoints.save(10, write=lambda folder: trainers.save(folder), state={"sampler": ...})
        checkpoints.retain(newest=10, keep_last=2)
        found = checkpoints.latest()
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "checkpoints"

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is."""
        return self.folder / f"step_{step:06d}"

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, sound or torn, oldest first."""
        names = (FOLDER_NAME.fullmatch(path.name) for path in self.folder.glob("step_*"))
        return sorted(int(name[1]) for name in names if name)

    def latest(
        self, *, with_checksums: bool = True, before: int | None = None
    ) -> Checkpoint | None:
        """The newest sound checkpoint, with what was passed over; None if there is no checkpoint at all.

        With `before` only those of earlier steps count.
        Without checksums only the presence and size of files is looked at, which takes no time. Raises
        TornCheckpointsError, a ValueError, if no checkpoint is sound.
        """
        skipped: list[str] = []
        for step in reversed(self.steps()):
            if before is not None and step >= before:
                continue
            folder = self.path(step)
            fault = find_fault(folder, with_checksums=with_checksums)
            if fault is None:
                state = read_manifest(folder)["state"]
                return Checkpoint(step=step, folder=folder, state=state, skipped=tuple(skipped))
            skipped.append(f"checkpoint {folder} is torn and was skipped: {fault}")
        if skipped:
            raise TornCheckpointsError("\n".join(skipped))
        return None

    def save(self, step: int, *, write: Callable[[Path], None], state: dict[str, Any]) -> Path:
        """Write a checkpoint: `write(folder)` fills it, then comes the manifest, then the rename.

        Raises OSError for a full or broken disk, and whatever `write` raises; nothing of it is left then.
        """
        final, unfinished = self.path(step), self.folder / f"unfinished_step_{step:06d}"
        self.remove_unfinished()
        try:
            unfinished.mkdir(parents=True)
            self._check_room()
            write(unfinished)
            seal(unfinished, step, state)
            if final.exists():
                shutil.rmtree(final)
            os.replace(unfinished, final)
            _sync(self.folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return final

    def retain(self, *, newest: int, keep_last: int, best: int | None = None) -> None:
        """Remove all but the last ones up to step `newest` and the best one. Raises OSError.

        Those of later steps are torn, or the run would have gone on from them.
        """
        kept = [step for step in self.steps() if step <= newest][-keep_last:]
        for step in self.steps():
            if step not in kept and step != best:
                shutil.rmtree(self.path(step))

    def remove_unfinished(self) -> list[Path]:
        """Remove what a process that was killed while it wrote has left, a whole checkpoint's room each; the folders.

        Only the one process that is at the run may call it, and not while it writes.
        """
        left = [
            *self.folder.glob("unfinished_step_*"),
            *self.folder.glob("step_*/trainer/universal"),  # of a resumption by other ranks
            *self.folder.parent.glob("unfinished_policy"),
            *self.folder.parent.glob("unfinished_reference_stage_*"),
        ]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        return left

    def _check_room(self) -> None:
        # Found out here, no trainer rank has begun to write: half of a collective save can't be taken back.
        steps = self.steps()
        needed = _recorded_size(self.path(steps[-1])) if steps else 0
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"{free / 1e6:,.0f} MB are free and the last checkpoint took {needed / 1e6:,.0f} MB",
                str(self.folder),
            )


def seal(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Bring every file of a folder to the disk and write the manifest that `find_fault` checks it against."""
    files = list(_files_of(folder))
    for path in files:
        _sync(path)
    content = {
        "step": step,
        "state": json.loads(json.dumps(state)),  # as it will be read: the checksum is of that
        "files": {
            str(path.relative_to(folder)): {"size": path.stat().st_size, "sha256": checksum}
            for path, checksum in zip(files, _checksums(files), strict=True)
        },
    }
    text = json.dumps({**content, "sha256": _checksum_of_content(content)}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    _sync(folder / MANIFEST)
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            _sync(path)


def find_fault(folder: Path, *, with_checksums: bool = True) -> str | None:
    """Why a checkpoint can't be trusted, naming the file; None if it is sound."""
    try:
        recorded = read_manifest(folder)["files"]
        for name, expected in recorded.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != expected["size"]:
                return f"{name} has {path.stat().st_size} bytes instead of {expected['size']}"
        if with_checksums:
            checksums = _checksums([folder / name for name in recorded])
            for name, checksum in zip(recorded, checksums, strict=True):
                if checksum != recorded[name]["sha256"]:
                    return f"{name} has changed: its SHA-256 is not the recorded one"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def other_owner(folder: Path) -> str | None:
    """The file of a checkpoint that is neither this user's nor root's, with its owner; None if there is none.

    This user's is what new files beside it are: a server may give them another number than the process has.
    """
    with tempfile.TemporaryFile(dir=folder.parent) as probe:
        own = {0, os.geteuid(), os.fstat(probe.fileno()).st_uid}
    for path in (folder, *folder.rglob("*")):
        owner = path.stat().st_uid
        if owner not in own:
            return f"{path} is of user {owner}"
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint. Raises OSError if there is none, ValueError if it is not what was written."""
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        recorded = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{MANIFEST} can't be read: {error!r}") from error
    if recorded != _checksum_of_content(content):
        raise ValueError(f"{MANIFEST} has changed: its SHA-256 is not the recorded one")
    return content


def _recorded_size(folder: Path) -> int:
    """Bytes of a checkpoint; 0 if it is torn."""
    try:
        return sum(file["size"] for file in read_manifest(folder)["files"].values())
    except (OSError, ValueError):
        return 0


def _files_of(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _checksums(files: list[Path]) -> list[str]:
    # hashlib lets other threads run: the files of many ranks are read side by side.
    with ThreadPoolExecutor() as threads:
        return list(threads.map(_checksum, files))


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum_of_content(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
