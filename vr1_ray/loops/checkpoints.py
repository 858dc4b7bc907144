"""Checkpoints of a run: complete or not there, and how a run finds the one to go on from.

    checkpoints/step_000010/
        policy/          Hugging Face folder: loads in plain transformers and vLLM
        trainer/         DeepSpeed state and RNG of every rank
        manifest.json    written last: step, sampler, curriculum, policy version

A checkpoint is written under a temporary name and renamed when complete, so that a crash while
saving leaves the one before in place.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class Checkpoints:
    """The checkpoints of one run folder.

    Example:
        checkpoints = Checkpoints(run_folder, keep_last=2)
        checkpoints.save(10, write=lambda folder: trainers.save(folder), state={"sampler": ...})
        step, folder, state = checkpoints.latest()
    """

    def __init__(self, run_folder: Path, *, keep_last: int) -> None:
        self.folder = run_folder / "checkpoints"
        self.keep_last = max(1, keep_last)

    def latest(self) -> tuple[int, Path, dict[str, Any]] | None:
        """Step, folder and state of the newest complete checkpoint; None if there is none."""
        for folder in sorted(self.folder.glob("step_*"), reverse=True):
            if (folder / MANIFEST).is_file():
                state = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
                return state["step"], folder, state
        return None

    def save(self, step: int, *, write: Callable[[Path], None], state: dict[str, Any]) -> Path:
        """Write a checkpoint: `write(folder)` fills it, then the manifest with `state`, then the rename."""
        final = self.folder / f"step_{step:06d}"
        unfinished = self.folder / f"unfinished_step_{step:06d}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        with open(unfinished / MANIFEST, "w", encoding="utf-8") as file:
            json.dump({"step": step, **state}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        os.replace(unfinished, final)
        self._retain()
        return final

    def clear(self) -> None:
        """Forget all checkpoints (`checkpoint.resume=never`)."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _retain(self) -> None:
        for old in sorted(self.folder.glob("step_*"))[: -self.keep_last]:
            shutil.rmtree(old)
