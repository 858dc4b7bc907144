"""Where metrics go: the console, wandb, tensorboard, and a JSONL file (`jsonl.py`). One small class each.

Every sink takes the same plain numbers. wandb and tensorboard are imported when their sink is made, so a
run without them does not need them. No sink gets the config or the environment: no secret can reach a file.
"""

import math
import os
import secrets
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO, Any, Protocol

WANDB_ID = "wandb_run_id"
Value = float | int | str | bool | None


class Sink(Protocol):
    """What the tracker asks of a sink."""

    def log(self, step: int, metrics: dict[str, Value]) -> None:
        """The metrics of one finished step."""

    def add(self, step: int, metrics: dict[str, Value]) -> None:
        """Further metrics of the step that was logged last; of step 0, the start, nothing was."""

    def note(self, message: str) -> None:
        """A sentence that the user must see: an alarm, a change of stage."""

    def rewind(self, step: int) -> None:
        """Forget the steps after `step`: they are done again."""

    def close(self) -> None:
        """Writes out what is still held. Called once."""


class ConsoleSink:
    """One line a step, and notes. On a terminal the line has a little colour; in a file it has none.

    Example:
        step  12/40 | stage 1 (96 x 16) | reward 0.412 | length 61.2 | cut 3.1% | 842 tok/s | 6.1 s | 2:51 left
    """

    # metric, what the line calls it, format
    COLUMNS = (
        ("loss", "loss", "{:.4f}"),
        ("reward/mean", "reward", "{:.3f}"),
        ("accuracy", "accuracy", "{:.3f}"),
        ("response_tokens/mean", "length", "{:.1f}"),
        ("truncation_rate", "cut", "{:.1%}"),
        ("invalid/rollouts", "invalid", "{:.0f}"),
        ("tokens_per_second", "", "{:.0f} tok/s"),
    )
    ONLY_ABOVE_0 = ("invalid/rollouts",)

    def __init__(self, total_steps: int, stream: IO[str] | None = None) -> None:
        self.total_steps = total_steps
        self.stream = stream or sys.stdout
        self.has_colour = self.stream.isatty() and "NO_COLOR" not in os.environ
        self._seconds: deque[float] = deque(maxlen=10)
        self._last_time = time.monotonic()

    def log(self, step: int, metrics: dict[str, Value]) -> None:
        now = time.monotonic()
        self._seconds.append(_number(metrics.get("time/step")) or now - self._last_time)
        self._last_time = now
        self._write(self.line(step, metrics))

    def line(self, step: int, metrics: dict[str, Value]) -> str:
        """The line of one step; what is not among its metrics is left out."""
        width = len(str(self.total_steps))
        parts = [self._paint("1", f"step {step:>{width}}/{self.total_steps}")]
        if metrics.get("stage") is not None:
            budget = (
                f" ({metrics['max_response_tokens']} x {metrics['group_size']})"
                if "group_size" in metrics
                else ""
            )
            parts.append(self._paint("36", f"stage {metrics['stage']}{budget}"))
        for key, label, form in self.COLUMNS:
            value = _number(metrics.get(key))
            if value is not None and (value or key not in self.ONLY_ABOVE_0):
                shown = form.format(value) if math.isfinite(value) else "-"
                parts.append(f"{label} {shown}".strip())
        if self._seconds:
            seconds = sum(self._seconds) / len(self._seconds)
            left = max(self.total_steps - step, 0) * seconds
            parts += [
                f"{self._seconds[-1]:.1f} s",
                self._paint("2", f"{format_seconds(left)} left"),
            ]
        return " | ".join(parts)

    def add(self, step: int, metrics: dict[str, Value]) -> None:
        pass  # who adds them tells them

    def note(self, message: str) -> None:
        self._write(self._paint("33", f"note: {message}"))

    def rewind(self, step: int) -> None:
        pass

    def close(self) -> None:
        self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.has_colour else text


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def format_seconds(seconds: float) -> str:
    """2:51, or 1:02:51 from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def wandb_id(folder: Path, *, is_resumed: bool) -> str:
    """The run's id at Weights & Biases, kept in the run folder: a resumed run has its own again, a new one a new one."""
    path = folder / WANDB_ID
    if is_resumed and path.is_file():
        return path.read_text(encoding="utf-8").strip()
    found = secrets.token_hex(6)
    path.write_text(found + "\n", encoding="utf-8")
    return found


class WandbSink:
    """Weights & Biases; offline, into the run folder, when there is no WANDB_API_KEY.

    An offline run is sent later with `wandb sync RUN_FOLDER/wandb/offline-run-*`.
    """

    def __init__(self, folder: Path, project: str, resume_step: int | None) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ValueError(
                "tracking.wandb: true, but wandb is not installed; pip install wandb"
            ) from error
        mode: Any = os.environ.get("WANDB_MODE") or (
            "online" if os.environ.get("WANDB_API_KEY") else "offline"
        )
        self.run = wandb.init(
            project=project,
            name=folder.name,
            id=wandb_id(folder, is_resumed=resume_step is not None),
            dir=str(folder),
            mode=mode,
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True
            ),
        )

    def log(self, step: int, metrics: dict[str, Value]) -> None:
        self.run.log({key: value for key, value in metrics.items() if value is not None}, step=step)

    def add(self, step: int, metrics: dict[str, Value]) -> None:
        """In the same row, so long as the run was not resumed since: wandb's steps only grow."""
        self.log(step, metrics)

    def note(self, message: str) -> None:
        self.run.alert(title="vr1", text=message)

    def rewind(self, step: int) -> None:
        """wandb's steps only grow: it keeps the first row of a step that is done again."""

    def close(self) -> None:
        self.run.finish()


class TensorboardSink:
    """Tensorboard event files in the run folder's `tensorboard/`."""

    def __init__(self, folder: Path, resume_step: int | None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError(
                "tracking.tensorboard: true, but tensorboard is not installed; pip install tensorboard"
            ) from error
        self._writer_class: Any = SummaryWriter
        self._folder = str(folder / "tensorboard")
        self._open(resume_step)

    def _open(self, resume_step: int | None) -> None:
        purge_step = None if resume_step is None else resume_step + 1
        self.writer = self._writer_class(self._folder, purge_step=purge_step)
        self._step = resume_step or 0

    def log(self, step: int, metrics: dict[str, Value]) -> None:
        self._step = step
        for key, value in metrics.items():
            if isinstance(value, (int, float)):
                self.writer.add_scalar(key, value, step)
        self.writer.flush()

    add = log

    def note(self, message: str) -> None:
        self.writer.add_text("notes", message, self._step)

    def rewind(self, step: int) -> None:
        self.writer.close()
        self._open(step)

    def close(self) -> None:
        self.writer.close()
