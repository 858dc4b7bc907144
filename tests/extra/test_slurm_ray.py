"""The sbatch script's own commands with a real Ray on this machine: who has no token is refused, the job has one, and a
run that is stopped at the time limit is given the time it needs. Stand-ins are Slurm's commands and the run alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]

SCRIPT = Path(__file__).parents[2] / "examples/slurm/vision_r1.sbatch"
LIMIT = 600.0
START_ATTEMPTS = 3

STAND_INS = {
    "scontrol": "#!/usr/bin/env bash\necho localhost\n",
    "srun": "#!/usr/bin/env bash\nwhile [[ $1 == --* ]]; do shift; done\n"
    'if [[ $1 == hostname ]]; then echo 127.0.0.1; else exec "$@"; fi\n',
    # A run that takes 6 s to save, longer than the 3 s that Ray gives by itself.
    "vr1": f"""#!{sys.executable}
import pathlib, signal, sys, time
def save(*_):
    time.sleep(6)
    pathlib.Path("saved").write_text("whole")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
pathlib.Path("running").write_text(" ".join(sys.argv[1:]))
time.sleep(600)
""",
}


def comes_up(running, script):
    """Whether the run has begun; not, where a busy machine misses the time Ray gives its processes to start."""
    deadline = time.monotonic() + LIMIT
    while not running.is_file() and script.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return running.is_file()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def submit_without_slurm(port, token=""):
    """The status of a POST that would run a command on the cluster."""
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {token}"} if token else {}
    )
    body = json.dumps({"entrypoint": "touch stranger"}).encode()
    try:
        return urlopen(Request(f"http://127.0.0.1:{port}/api/jobs/", body, headers)).status
    except HTTPError as error:
        return error.code


def end_all(variable):
    """End what the script started, Ray's processes too, by what is in their environment."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is another user's
            if variable.encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def test_a_stranger_is_refused_and_a_stopped_run_has_the_time_to_save(tmp_path):
    commands = tmp_path / ".venv/bin"
    commands.mkdir(parents=True)
    for name, text in STAND_INS.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    old = tmp_path / "home/.ray/auth_token"  # of a local run before
    old.parent.mkdir(parents=True)
    old.write_text("0" * 64)
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "localhost",
        "RAY_PORT": str(free_port()),
        "RAY_DASHBOARD_PORT": str(port),
        "RAY_START_SECONDS": "120",
    }
    command = ["bash", SCRIPT, "config.yaml", "runs_folder=/shared/my runs"]
    try:
        for _ in range(START_ATTEMPTS):
            script = subprocess.Popen(command, env=environment, start_new_session=True)
            if comes_up(tmp_path / "running", script):
                break
            end_all(f"HOME={tmp_path / 'home'}")
        assert (tmp_path / "running").read_text() == "run config.yaml runs_folder=/shared/my runs"
        token = (tmp_path / "home/.ray/vision-r1-7.token").read_text()
        assert submit_without_slurm(port) in (401, 403)
        assert submit_without_slurm(port, old.read_text()) in (401, 403)
        assert submit_without_slurm(port, token) == 200
        script.send_signal(signal.SIGTERM)
        script.wait(timeout=LIMIT)
        assert (tmp_path / "saved").read_text() == "whole"
        assert not (tmp_path / "home/.ray/vision-r1-7.token").exists()
    finally:
        end_all(f"HOME={tmp_path / 'home'}")
