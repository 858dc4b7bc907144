"""What a killed process leaves behind is ended, at any depth; nothing else is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vr1_ray.rollout.orphans import MARK, kill_marked, marked

pytestmark = pytest.mark.slow

PARENT = """
import subprocess, sys, time
from vr1_ray.rollout.orphans import watch_over_children
watcher = watch_over_children()
grandchild = "import time; time.sleep(300)"
child = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {grandchild!r}]); time.sleep(300)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
import os
print(os.environ["VR1_ENGINE_MARK"], flush=True)
time.sleep(300)
"""


def until(is_true, seconds=120):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_children_and_grandchildren_of_a_killed_process_are_ended_and_no_others():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    mark = parent.stdout.readline().strip()
    until(lambda: len(marked(mark)) == 2)
    assert parent.pid not in marked(mark)
    assert os.getpid() not in marked(mark)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until(lambda: not marked(mark))


def test_a_process_with_another_mark_is_left_alone():
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"], env=os.environ | {MARK: "another"}
    )
    try:
        until(lambda: other.pid in marked("another"))
        kill_marked("mine")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
