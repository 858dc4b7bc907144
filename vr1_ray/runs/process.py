"""Telling one process from another: of this machine, and when it began."""

import os
from pathlib import Path

_PROCESS_FILE = Path("/proc")


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
