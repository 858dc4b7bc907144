"""A run in a process of its own on a Ray cluster of this machine, and ways to break parts of it.

Processes are found below the raylets that the test itself started, so no other run is ever hit.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LIMIT = float(os.environ.get("VR1_FAULTS_LIMIT", "300"))  # seconds any wait of a test may take


def until(what: str, is_true, *, every: float = 0.1, limit: float = LIMIT):
    """Waits until `is_true()` returns something, and returns it."""
    deadline = time.monotonic() + limit
    while not (found := is_true()):
        assert time.monotonic() < deadline, f"not within {limit:.0f} s: {what}"
        time.sleep(every)
    return found


def raylet_of(node) -> int:
    """The process id of a cluster node's raylet."""
    [raylet] = node.all_processes["raylet"]
    return raylet.process.pid


def below(raylet: int, title: str) -> list[psutil.Process]:
    """Processes below a raylet whose title begins so, such as `ray::RolloutActor`, oldest first."""
    found = []
    for process in psutil.Process(raylet).children(recursive=True):
        try:
            if " ".join(process.cmdline()).startswith(title):
                found.append(process)
        except psutil.Error:
            continue  # it has just ended
    return sorted(found, key=lambda process: process.create_time())


def engine_core_of(actor: psutil.Process) -> psutil.Process:
    """The vLLM process below a rollout actor."""
    [core] = [p for p in actor.children() if " ".join(p.cmdline()).startswith("VLLM::EngineCore")]
    return core


def kill(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)


class LiveRun:
    """`vr1 rl` as a user starts it, with its output in a file."""

    def __init__(self, folder: Path, config: Path, *overrides: str) -> None:
        self.folder, self.name = folder, "run"
        self.output = folder / "output.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vr1_ray.cli", "rl", str(config), *overrides],
            cwd=ROOT,
            stdout=self.output.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def rows(self) -> list[dict]:
        """The rows of metrics.jsonl so far."""
        path = self.folder / self.name / "metrics.jsonl"
        return (
            [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        )

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

        return until(what, look, **how)

    def until_said(self, text: str, times: int = 1, **how) -> None:
        """Until the run has told its user something so many times."""
        self.until(f"{text!r} {times} times", lambda: self.text().count(text) >= times, **how)

    def until_step(self, step: int) -> None:
        """Until the step's row is written: the next step, or an evaluation, begins."""
        self.until(f"step {step}", lambda: len(self.rows()) >= step, every=0.02)

    def scale(self, *arguments: str) -> str:
        """`vr1 scale` on this run, from another process; its answer."""
        command = [sys.executable, "-m", "vr1_ray.cli", "scale", "run", *arguments]
        command += ["--runs_folder", str(self.folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def end(self) -> None:
        """Wait for it; it must have done all steps."""
        assert self.process.wait(timeout=LIMIT) == 0, self.text()[-4000:]

    def kill(self) -> None:
        """If a test failed: nothing of it may stay."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=60)
