"""How a run stands, in its own folder: starting, running, stopped, failed, finished; or killed, if nobody could say.

    runs/NAME/state.json        the state, its cause, and the process that writes it (host, pid, when that began)
              logs/error.log    the traceback of a failure; of a run that was resumed one behind the other

`vr1 status` and `vr1 runs` read it. A state of `starting` or `running` whose process is gone is `killed`: looked at
on its own host only, for from another nobody can tell.
"""

import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from vr1_ray.config import RunConfig
from vr1_ray.runs.checkpoints import Checkpoints
from vr1_ray.runs.lock import LockLostError
from vr1_ray.runs.process import process_start
from vr1_ray.runs.run_folder import RESULT, keep_private, write_json
from vr1_ray.runs.stopping import Stopped
from vr1_ray.tracking.privacy import as_folder, private_folder

STATE = "state.json"
ERROR_LOG = Path("logs") / "error.log"
SEE_TRACEBACK = "full traceback: "

Name = Literal["starting", "running", "stopped", "failed", "killed", "finished"]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What state.json holds.

    Example:
        RunState(state="running", kind="rl", host="node-1", pid=4711, process_start="2c0f/88123", began=1.7e9, since=1.7e9)
    """

    state: Name
    kind: str
    host: str
    pid: int
    process_start: (
        str  # tells the process from a later one of the same pid; "" where it can't be known
    )
    began: float  # this start of the run, seconds of the epoch
    since: float  # of this state
    cause: str = ""  # of stopped, failed or killed

    @property
    def is_live(self) -> bool:
        """Whether the run says that a process is at it."""
        return self.state in ("starting", "running")


def begin(config: RunConfig) -> None:
    """The run folder is this process's from now on: `starting`."""
    now = time.time()
    state = RunState(
        state="starting",
        kind=config.kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "",
        began=now,
        since=now,
    )
    write_json(config.folder / STATE, asdict(state))


def now_running(config: RunConfig) -> None:
    """Everything is started; the first step, question or row is next."""
    _change(config, "running")


@contextmanager
def recorded(config: RunConfig) -> Iterator[None]:
    """A block that is one start of a run: however it ends, the run folder says so.

    Only if `begin` was reached in it: a start that is refused before changes nothing of what is there. What ends it
    is raised on, with notes for the user: where the traceback is, what a further start goes on from.
    """
    try:
        yield
    except LockLostError:
        raise  # the folder is another's, and how that one stands
    except BaseException as error:
        if _is_ours(config):
            _record_end(config, error)
        raise
    if _is_ours(config):
        try:
            _change(config, "finished")
        except OSError as failure:
            _tell(config, failure)


def read_state(run_folder: Path) -> RunState | None:
    """How a run stands now; None for a folder without it, or one that can't be read."""
    try:
        found = RunState(**json.loads((run_folder / STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if not found.is_live or found.host != socket.gethostname():
        return found
    start = process_start(found.pid)
    if start is None or (found.process_start and start != found.process_start):
        return replace(found, state="killed", cause=f"process {found.pid} is gone without a word")
    return found


def state_word(folder: Path) -> str:
    """The state in one word; "unfinished" for a folder of a run that kept none."""
    state = read_state(folder)
    if state is not None:
        return state.state
    return "finished" if (folder / RESULT).is_file() else "unfinished"


def _is_ours(config: RunConfig) -> bool:
    found = read_state(config.folder)
    return found is not None and found.is_live and found.pid == os.getpid()


def _change(config: RunConfig, state: Name, cause: str = "") -> None:
    found = read_state(config.folder)
    if found is not None:
        changed = replace(found, state=state, cause=cause, since=time.time())
        write_json(config.folder / STATE, asdict(changed))


def _record_end(config: RunConfig, error: BaseException) -> None:
    """Say in the run folder how it ended. A disk that takes no more must not hide the error itself."""
    try:
        if isinstance(error, Stopped | KeyboardInterrupt):
            _change(config, "stopped", getattr(error, "cause", "Ctrl-C"))
            if config.kind != "recipe":  # its step has said it
                error.add_note(_goes_on(config))
            return
        if not any(note.startswith(SEE_TRACEBACK) for note in getattr(error, "__notes__", [])):
            keep_private(config)
            error.add_note(f"{SEE_TRACEBACK}{write_traceback(config.folder, error)}")
        _change(config, "failed", in_one_line(error))
    except OSError as failure:
        _tell(config, failure)


def _tell(config: RunConfig, failure: OSError) -> None:
    sys.stderr.write(f"vr1: {config.folder / STATE} could not be written: {failure}\n")


def in_one_line(error: BaseException) -> str:
    """The first line of an error; with its class where the message alone says little."""
    first = str(error).strip().split("\n")[0]
    is_told = isinstance(error, ValueError | RuntimeError) and bool(first)
    return first if is_told else f"{type(error).__name__}: {first}"


def write_traceback(run_folder: Path, error: BaseException) -> Path:
    """Append the traceback to the run's error log; its full path. Raises OSError."""
    path = (run_folder / ERROR_LOG).resolve()
    private_folder(path.parent)
    with open(path, "a", encoding="utf-8", opener=as_folder) as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        traceback.print_exception(error, file=file)
        file.write("\n")
    return path


def _goes_on(config: RunConfig) -> str:
    """What a further start of a stopped run goes on from."""
    if config.kind == "figure_math":
        return "the same command draws it again"
    if config.kind == "bridge":
        return "the same command goes on: what was answered is kept"
    if config.kind == "filter":
        return "the same command goes on: pass rates that were found are kept"
    if config.kind == "eval":
        return "the same command goes on: answers to benchmarks are kept, eval.data is asked again"
    steps = Checkpoints(config.folder).steps()
    if not steps:
        return "no checkpoint was saved yet: the same command begins anew"
    return f"the same command goes on from {Checkpoints(config.folder).path(steps[-1])}"
