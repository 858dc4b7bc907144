"""The bytes of a bucket for another process: read whole, and gone with the process that shares them, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vr1_ray.rollout.vllm_weights import shared_file

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")

SHARES = """
import time, numpy as np
from vr1_ray.rollout.vllm_weights import shared_file
with shared_file(np.arange(1 << 20, dtype=np.uint8).data) as path:
    print(path, flush=True)
    time.sleep(300)
"""


def shared_memory():
    return {path.name for path in Path("/dev/shm").glob("*weights*")}


def test_another_process_reads_the_bytes_and_keeps_its_map():
    data = np.arange(4096, dtype=np.uint8)
    read = "import sys, numpy as np; print(int(np.memmap(sys.argv[1], dtype=np.uint8, mode='c').sum()))"
    with shared_file(data.data) as path:
        out = subprocess.run(
            [sys.executable, "-c", read, path], capture_output=True, text=True, check=True
        )
        kept = np.memmap(path, dtype=np.uint8, mode="c")
    assert int(out.stdout) == data.sum(dtype=int)
    assert not os.path.exists(path)
    assert (kept == data).all()


@pytest.mark.slow
def test_nothing_is_left_of_a_process_that_is_killed_while_it_shares():
    before = shared_memory()
    process = subprocess.Popen([sys.executable, "-c", SHARES], stdout=subprocess.PIPE, text=True)
    path = process.stdout.readline().strip()
    assert os.path.getsize(path) == 1 << 20
    assert shared_memory() == before  # it has no name that could stay
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not os.path.exists(path)
