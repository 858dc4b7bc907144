"""A real job on a real cluster of one node, by both forms that examples/ray_job shows: log and exit code arrive.

The run draws figures (`kind: figure_math`), which needs no model and takes a second.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Environment of one who may submit: address, and a token of this test's own."""
    port, dashboard, agent = free_ports(3)
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "SHARED": str(tmp_path_factory.mktemp("shared")),
    }
    environment.pop("RAY_ADDRESS", None)
    # Ray's sockets have paths of at most 107 characters, which pytest's folders may exceed.
    scratch = Path("/tmp") / f"vr1-{secrets.token_hex(4)}"
    command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=1", f"--port={port}"]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += ["--node-ip-address=127.0.0.1", f"--temp-dir={scratch}"]
    command += ["--object-store-memory=100000000"]
    head = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_ready(environment, head)
        yield environment
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(scratch, ignore_errors=True)


def wait_until_ready(environment: dict[str, str], head: subprocess.Popen) -> None:
    """Until the cluster lists its jobs: an open port is not yet a dashboard."""
    jobs = Request(
        environment["RAY_API_SERVER_ADDRESS"] + "/api/jobs/",
        headers={"Authorization": f"Bearer {environment['RAY_AUTH_TOKEN']}"},
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert head.poll() is None, "ray start ended"
        try:
            with urlopen(jobs, timeout=10):
                return
        except (OSError, HTTPException):
            time.sleep(1)
    raise AssertionError(f"no jobs at {jobs.full_url}")


@pytest.fixture(scope="module")
def config(cluster):
    path = Path(cluster["SHARED"]) / "figures.yaml"
    sizes = dict.fromkeys(("num_train", "num_validation", "num_test", "num_demonstrations"), 4) | {
        "folder": f"{cluster['SHARED']}/figures"
    }
    path.write_text(yaml.safe_dump({"kind": "figure_math", "name": "fm", "figure_math": sizes}))
    return path


def run(environment: dict[str, str], *command: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def submit(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    script = ROOT / "examples/ray_job/submit.py"
    address = environment["RAY_API_SERVER_ADDRESS"]
    return run(environment, sys.executable, script, "--address", address, *arguments)


def test_submit_py_follows_a_run_to_its_end(cluster, config):
    done = submit(
        cluster, "--submission-id", "figures", str(config), f"runs_folder={cluster['SHARED']}/runs"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "figures: SUCCEEDED" in done.stdout
    assert (Path(cluster["SHARED"]) / "runs/fm/result.json").is_file()


def test_a_run_that_fails_fails_the_submission_with_its_message(cluster):
    done = submit(cluster, "configs/none.yaml")
    assert done.returncode == 1
    assert "config 'configs/none.yaml' does not exist" in done.stdout


def test_the_command_line_form_works_as_the_readme_writes_it(cluster, config):
    readme = (ROOT / "examples/ray_job/README.md").read_text()
    [line] = re.findall(r"^ray job submit .*?[^\\]\n", readme.replace("\\\n", " "), re.MULTILINE)
    line = line.replace("vr1 rl configs/vision_r1/rl_7b.yaml", f"vr1 run {config}")
    done = run(cluster, "bash", "-c", line.replace("/shared/runs", f"{cluster['SHARED']}/by_line"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (Path(cluster["SHARED"]) / "by_line/fm/result.json").is_file()


def test_without_the_clusters_token_nothing_is_run(cluster, config):
    stranger = cluster | {"RAY_AUTH_TOKEN": "0" * 32}
    done = submit(stranger, str(config), f"runs_folder={cluster['SHARED']}/strangers")
    assert done.returncode != 0
    assert not (Path(cluster["SHARED"]) / "strangers").exists()
