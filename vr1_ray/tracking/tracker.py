"""The tracker of a run: takes the metrics of a step once and hands them to every sink."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vr1_ray.config import TrackingConfig
from vr1_ray.tracking.jsonl import JsonlSink
from vr1_ray.tracking.sinks import ConsoleSink, Sink, TensorboardSink, Value, WandbSink


class Tracker:
    """Logs one run.

    `resume_step` is the step of the checkpoint a run goes on from: rows of later steps are removed, so
    every step has one row. None is a new run, whose metrics file starts empty.

    Example:
        with Tracker(Path("runs/demo"), TrackingConfig(), total_steps=40) as tracker:
            tracker.log(1, {"reward/mean": 0.5})
            tracker.add(1, {"benchmark/mathvista": 0.25})    # the same row
            tracker.note("stage 2 begins")
    """

    def __init__(
        self,
        folder: Path,
        config: TrackingConfig,
        total_steps: int,
        resume_step: int | None = None,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self.before_write = before_write  # raises if nothing may be written any more
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        make: list[tuple[bool, Callable[[], Sink]]] = [
            (True, lambda: JsonlSink(folder, resume_step)),
            (config.console, lambda: ConsoleSink(total_steps)),
            (config.wandb, lambda: WandbSink(folder, config.project, resume_step)),
            (config.tensorboard, lambda: TensorboardSink(folder, resume_step)),
        ]
        self.sinks = [sink() for is_on, sink in make if is_on]

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """The metrics of a finished step, by the names of METRICS.md. Call it once a step.

        A sink that can't write (a full disk) ends no run: it is told on stderr, and its rows wait.
        """
        values = _plain_values(metrics)
        failure = f"the metrics of step {step} could not be written"
        self._each(failure, lambda sink: sink.log(step, values))

    def add(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Further metrics of the step that was logged last, such as its evaluation's: they join its row.

        Step 0, the start of a run, has no row in metrics.jsonl. A full disk is told; what was to be added is lost.
        """
        values = _plain_values(metrics)
        failure = f"the metrics added to step {step} could not be written"
        self._each(failure, lambda sink: sink.add(step, values))

    def note(self, message: str) -> None:
        """A sentence for the user, such as an alarm."""
        self._each("a note could not be written", lambda sink: sink.note(message))

    def rewind(self, step: int) -> None:
        """Forget the steps after `step`: they are done again, and each step has one row."""
        self.before_write()
        for sink in self.sinks:
            sink.rewind(step)

    def close(self) -> None:
        """Write out what is still held; what can't be is told."""
        self._each("not everything could be written at the end", lambda sink: sink.close())

    def _each(self, failure: str, send: Callable[[Sink], None]) -> None:
        """Give something to every sink; that one can't write is told, and keeps it from no other."""
        self.before_write()
        for sink in self.sinks:
            try:
                send(sink)
            except OSError as error:
                self._tell_failure(sink, failure, error)

    def _tell_failure(self, failed: Sink, what: str, error: OSError) -> None:
        # To stderr: the console sink may be off, or be the one that fails. Where stderr is a file on the same
        # full disk, there is nobody to tell.
        waiting = getattr(failed, "waiting", [])
        kept = f"; {len(waiting)} rows wait until there is room" if waiting else ""
        message = f"ALARM {type(failed).__name__}: {what}: {error}{kept}"
        with suppress(OSError):
            sys.stderr.write(f"vr1: {message}\n")
            sys.stderr.flush()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plain_values(metrics: Mapping[str, Any]) -> dict[str, Value]:
    return {key: plain(value) for key, value in metrics.items() if key != "step"}


def plain(value: Any) -> Value:
    """A Python number, text or None; numpy and torch scalars become numbers of full precision."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(
        f"a metric is a number, a text or None, not {type(value).__name__}: {value!r:.80}"
    )
