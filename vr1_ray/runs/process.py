"""Telling one process from another: of this machine, when it began, and of which job it is."""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROCESS_FILE = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who is at a run folder.

    Example:
        Holder(host="node-1", space="2c0f/pid:[4026531836]", pid=4711, process_start="2c0f/88123", job="Slurm job 7", began=1.7e9)
    """

    host: str
    space: str  # whose process ids these are
    pid: int
    process_start: str
    job: str = ""
    began: float  # seconds of the epoch

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.began))
        job = f", {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {since}"


def this_holder() -> Holder:
    """This process, as it says of itself who it is."""
    return Holder(
        host=socket.gethostname(),
        space=process_space(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "",
        job=job_of_this_process(),
        began=time.time(),
    )


def process_start(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's own count; None if there is none, or a dead one.

    "" where the kernel does not tell.
    """
    if not _PROCESS_FILE.is_dir():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return ""
        return ""
    try:
        fields = (_PROCESS_FILE / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot()[:8]}/{fields[19]}"


def boot() -> str:
    """Which start of which machine this is; "" where the kernel does not tell."""
    try:
        return (_PROCESS_FILE / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_space() -> str:
    """Whose process ids this process sees: two containers of one machine see each its own."""
    try:
        return f"{boot()[:8]}/{os.readlink(_PROCESS_FILE / 'self/ns/pid')}"
    except OSError:
        return ""


def job_of_this_process() -> str:
    """The scheduler's job that this process is of; "" for one started by hand."""
    if number := os.environ.get("SLURM_JOB_ID"):
        return f"Slurm job {number}"
    with suppress(ValueError, TypeError):
        ray_job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
        if name := ray_job.get("metadata", {}).get("job_submission_id"):
            return f"Ray job {name}"
    return ""
