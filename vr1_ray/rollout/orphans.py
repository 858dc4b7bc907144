"""Ends what an engine leaves behind when its own process is killed: a vLLM engine core would live on.

A small process waits for the engine's to be gone, however it ended, and then kills every process that
carries the engine's mark in its environment: all that were started below it, at whatever depth and time.
It runs this file as a script and needs the standard library alone. Where there is no /proc it finds nothing.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

MARK = "VR1_ENGINE_MARK"
SETTLE_SECONDS = 3.0  # one that was just being started may show late


def watch_over_children() -> subprocess.Popen[bytes]:
    """Mark the children this process will have, and kill them when it is gone. Keep what is returned."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, mark],
        stdin=subprocess.PIPE,  # closed by the system when this process ends
        start_new_session=True,  # a signal for the whole group must not end the watcher too
        env={name: value for name, value in os.environ.items() if name != MARK},
    )


def marked(mark: str) -> list[int]:
    """Ids of the processes that carry the mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def kill_marked(mark: str) -> None:
    """Kill them, until none has shown for a while."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < SETTLE_SECONDS:
        for process in marked(mark):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has ended by itself, which is what is wanted
            quiet_since = time.monotonic()
        time.sleep(0.1)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    kill_marked(sys.argv[1])
