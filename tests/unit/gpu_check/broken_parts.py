"""Parts that go wrong, each in its way, for the tests of what the check makes of them."""

import os
import signal
import subprocess
import sys
import time

from examples.gpu_check.bench import CheckFailedError, NotPossibleError


def mixed(bench):
    """One row of each kind, the last without an error of its own."""
    with bench.row("good") as figures:
        figures["device"] = bench.device
    with bench.row("bad") as figures:
        figures["found"] = 2.5
        raise CheckFailedError("2.5 is beyond the limit of 1")
    with bench.row("raises"):
        {}["missing"]
    with bench.row("absent"):
        raise NotPossibleError("this machine has no such thing")
    with bench.row("vital", is_vital=True):
        raise ValueError("no engine")
    raise AssertionError("not reached")


def crashes(bench):
    with bench.row("good"):
        pass
    with bench.row("bad"):
        print("about to go", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def raises_outside(bench):
    raise RuntimeError("no row had begun")


def hangs(bench):
    """It leaves a process in a session of its own, as Ray's are."""
    with bench.row("good"):
        pass
    with bench.row("bad"):
        left = subprocess.Popen([sys.executable, "-c", LOOP], start_new_session=True)
        (bench.folder / "left").write_text(str(left.pid))
        time.sleep(300)


LOOP = "import time\nwhile True: time.sleep(1)"
