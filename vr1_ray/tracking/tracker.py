"""The tracker of a run: takes the metrics of a step once and hands them to every sink."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vr1_ray.config import TrackingConfig
from vr1_ray.tracking.sinks import ConsoleSink, JsonlSink, Sink, TensorboardSink, Value, WandbSink


class Tracker:
    """Logs one run.

    `resume_step` is the step of the checkpoint a run goes on from: rows of later steps are removed, so
    every step has one row. None is a new run, whose metrics file starts empty.

    Example:
        with Tracker(Path("runs/demo"), TrackingConfig(), total_steps=40) as tracker:
            tracker.log(1, {"reward/mean": 0.5})
            tracker.note("stage 2 begins")
    """

    def __init__(
        self, folder: Path, config: TrackingConfig, total_steps: int, resume_step: int | None = None
    ) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        make: list[tuple[bool, Callable[[], Sink]]] = [
            (True, lambda: JsonlSink(folder, resume_step)),
            (config.console, lambda: ConsoleSink(total_steps)),
            (config.wandb, lambda: WandbSink(folder, config.project)),
            (config.tensorboard, lambda: TensorboardSink(folder, resume_step)),
        ]
        self.sinks = [sink() for is_on, sink in make if is_on]

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """The metrics of a finished step, by the names of METRICS.md. Call it once a step."""
        values = {key: plain(value) for key, value in metrics.items() if key != "step"}
        for sink in self.sinks:
            sink.log(step, values)

    def note(self, message: str) -> None:
        """A sentence for the user, such as an alarm."""
        for sink in self.sinks:
            sink.note(message)

    def close(self) -> None:
        for sink in self.sinks:
            sink.close()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plain(value: Any) -> Value:
    """A Python number, text or None; numpy and torch scalars become numbers of full precision."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(
        f"a metric is a number, a text or None, not {type(value).__name__}: {value!r:.80}"
    )
