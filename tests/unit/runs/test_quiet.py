"""What libraries print is in a file, the command's own lines are on the terminal; in processes with real streams."""

import os
import re
import subprocess
import sys
from pathlib import Path

from vr1_ray.runs.quiet import quiet

CODE = """
import ctypes, logging, os, subprocess, sys, warnings
from vr1_ray.cli import _tell_notes, _tell
from vr1_ray.runs.quiet import quiet
_tell_notes()
def work(fails):
    with quiet("check") as talk:
        logging.getLogger("vllm").warning("a logger")
        logging.basicConfig(); logging.getLogger("transformers").error("a handler")
        warnings.warn("a warning")
        os.write(2, b"from C\\n")
        subprocess.run([sys.executable, "-c", "import sys; print('a child', file=sys.stderr)"], check=True)
        print("a response")
        logging.getLogger("vr1_ray.data").info("3 rows left out")
        if fails:
            raise RuntimeError("no room")
try:
    work(fails={fails})
except RuntimeError as error:
    _tell(f"failed: {{error}}", error)
print("and after", file=sys.stderr)
"""


def run(fails: bool) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", CODE.format(fails=fails)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


def test_the_terminal_has_the_commands_own_lines_alone():
    done = run(fails=False)
    assert done.stdout == "a response\n"
    assert done.stderr == "note: 3 rows left out\nand after\n"


def test_a_failure_names_the_file_with_all_that_was_printed():
    done = run(fails=True)
    lines = done.stderr.splitlines()
    assert lines[:2] == ["note: 3 rows left out", "vr1: failed: no room"]
    assert lines[3] == "and after"
    path = Path(re.fullmatch(r"what libraries printed: (.*)", lines[2])[1])
    text = path.read_text()
    path.unlink()
    for said in ("a logger", "a handler", "a warning", "from C", "a child"):
        assert said in text


def test_a_run_keeps_what_was_printed_in_its_logs_and_a_later_start_goes_on_there(tmp_path):
    logs = tmp_path / "logs"
    for word in ("first", "second"):
        with quiet("bridge", logs) as talk:
            os.write(2, f"{word}\n".encode())
    assert talk.path == logs / "libraries.log"
    assert talk.path.read_text() == "first\nsecond\n"
    assert talk.path.stat().st_mode & 0o077 == 0  # as its folder is


def test_an_empty_file_of_a_run_is_not_left(tmp_path):
    with quiet("bridge", tmp_path / "logs"):
        pass
    assert not (tmp_path / "logs" / "libraries.log").exists()


def test_nothing_joins_a_ray_that_the_run_did_not_name():
    """What a thread asks after the run's end would otherwise join, or start, another cluster."""
    code = "import vr1_ray.actors.cluster, ray; ray.nodes()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 1
    assert "has not been started" in done.stderr.splitlines()[-1]
