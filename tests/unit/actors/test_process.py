"""An actor's process ends when the one that started it is gone, even while that one is still a zombie."""

import os
import signal
import subprocess
import sys
import time

import psutil

ACTOR = """
import time
from vr1_ray.actors.process import end_with_raylet
end_with_raylet(every_seconds=0.05)
print("watching", flush=True)
time.sleep(300)
"""
RAYLET = f"""
import subprocess, sys
actor = subprocess.Popen([sys.executable, "-c", {ACTOR!r}], stdout=subprocess.PIPE, text=True)
print(actor.pid, actor.stdout.readline().strip(), flush=True)
actor.wait()
"""


def test_an_actor_outlives_its_raylet_by_a_moment_only_though_nobody_collects_the_raylet():
    raylet = subprocess.Popen([sys.executable, "-c", RAYLET], stdout=subprocess.PIPE, text=True)
    pid, said = raylet.stdout.readline().split()
    actor = psutil.Process(int(pid))
    time.sleep(0.3)
    assert said == "watching"
    assert actor.status() != psutil.STATUS_ZOMBIE
    os.kill(raylet.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([actor], timeout=60)
    assert alive == []
    assert psutil.Process(raylet.pid).status() == psutil.STATUS_ZOMBIE
    raylet.wait()
