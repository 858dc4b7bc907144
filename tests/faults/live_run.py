"""A run in a process of its own on a Ray cluster of this machine, and ways to break parts of it.

Processes are found below the raylets or the driver that the test itself started, so no other run is ever hit.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
LIMIT = float(os.environ.get("VR1_FAULTS_LIMIT", "300"))  # seconds any wait of a test may take


def until(what: str, is_true, *, every: float = 0.1, limit: float = LIMIT):
    """Waits until `is_true()` returns something, and returns it."""
    deadline = time.monotonic() + limit
    while not (found := is_true()):
        assert time.monotonic() < deadline, f"not within {limit:.0f} s: {what}"
        time.sleep(every)
    return found


def until_gone(what: str, processes) -> None:
    """Waits until none of these processes runs. One that has ended but was not collected by its parent yet is gone."""
    deadline = time.monotonic() + LIMIT
    while left := [process for process in processes if _runs(process)]:
        seen = "; ".join(f"{one} below {one.parent()}" for one in left)
        assert time.monotonic() < deadline, f"after {LIMIT:.0f} s there still is {what}: {seen}"
        time.sleep(0.1)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def raylet_of(node) -> int:
    """The process id of a cluster node's raylet."""
    [raylet] = node.all_processes["raylet"]
    return raylet.process.pid


def below(root: int, title: str) -> list[psutil.Process]:
    """Processes below a raylet or driver whose title begins so, such as `ray::RolloutActor`, oldest first."""
    found = []
    for process in psutil.Process(root).children(recursive=True):
        try:
            if title_of(process).startswith(title):
                found.append((process.create_time(), process))
        except psutil.Error:
            continue  # it has just ended
    return [process for _, process in sorted(found, key=lambda one: one[0])]


def title_of(process: psutil.Process) -> str:
    """`ray::CLASS` of an idle actor, `ray::CLASS.METHOD` of one at work."""
    return " ".join(process.cmdline()).strip()


def engine_core_of(actor: psutil.Process) -> psutil.Process:
    """The vLLM process below a rollout actor."""
    [core] = below(actor.pid, "VLLM::EngineCore")
    return core


def actor_of(root: int, title: str, log: str) -> psutil.Process:
    """Of several actors of a class the one that writes to this log, such as `trainer_0.log`."""
    [found] = [
        process
        for process in below(root, title)
        if os.readlink(f"/proc/{process.pid}/fd/1").endswith(f"/{log}")
    ]
    return found


def kill(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)


def vr1(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "vr1_ray.cli", *map(str, arguments)]


def finish(command: list[str], *, code: int = 0) -> str:
    """Run a command to its end; what it printed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * LIMIT)
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


class LiveRun:
    """`vr1 rl` as a user starts it, with its output in a file."""

    def __init__(
        self,
        folder: Path,
        config: Path,
        *overrides: str,
        name: str = "run",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.name = folder, name
        self.output = folder / f"{name}.txt"
        self.command = vr1("rl", config, *overrides, f"name={name}", f"runs_folder={folder}")
        self.environment = os.environ | (environment or {})
        self.start()

    def start(self) -> None:
        """Start it, or again after its driver was killed."""
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def rows(self) -> list[dict]:
        """The rows of metrics.jsonl so far."""
        return rows_of(self.folder / self.name)

    def text(self) -> str:
        return self.output.read_text()

    def until(self, what: str, is_true, **how):
        """Like `until`, but a run that has ended is not waited for."""

        def look():
            if found := is_true():
                return found
            assert self.process.poll() is None, (
                f"the run ended before: {what}\n{self.text()[-3000:]}"
            )
            return None

        try:
            return until(what, look, **how)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()[-3000:]}\n{self.processes()}") from None

    def processes(self) -> str:
        """The run's processes and what state each is in, for the message of a test that failed."""
        if self.process.poll() is not None:
            return f"its driver has ended with exit code {self.process.returncode}"
        lines = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if title := title_of(process):
                    lines.append(f"{process.pid} {process.status()} {title[:100]}")
        return "\n".join(lines)

    def until_said(self, text: str, times: int = 1, **how) -> None:
        """Until the run has told its user something so many times."""
        self.until(f"{text!r} {times} times", lambda: self.text().count(text) >= times, **how)

    def until_step(self, step: int) -> None:
        """Until the step's row is written: the next step, or an evaluation, begins."""
        self.until(f"step {step}", lambda: len(self.rows()) >= step, every=0.02)

    def until_busy(self, process: psutil.Process, method: str) -> None:
        """Until an actor works at a method."""
        self.until(method, lambda: title_of(process).endswith(f".{method}"), every=0.002)

    def scale(self, *arguments: str) -> str:
        """`vr1 scale` on this run, from another process; its answer."""
        return finish(vr1("scale", self.name, *arguments, "--runs_folder", self.folder)).strip()

    def end(self, *, limit: float = LIMIT) -> None:
        """Wait for it; it must have done all steps."""
        assert self.process.wait(timeout=limit) == 0, self.text()[-4000:]

    def kill(self) -> None:
        """SIGKILL for the driver and all of its process group; of a test that failed nothing may stay."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=60)


def rows_of(run: Path) -> list[dict]:
    """The rows of metrics.jsonl so far."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [
        json.loads(line) for line in lines if line.endswith("}")
    ]  # the last may be half written


def weights_of(run: Path) -> dict:
    """The trained policy's tensors."""
    return load_file(run / "policy" / "model.safetensors")
