"""A real job on a real cluster of two nodes: submitted, given a second engine, stopped with a checkpoint, resubmitted,
resumed to its end.

By the README's own `ray job submit` line. Nothing here counts seconds: each wait looks for a state, with a limit
that only a run that hangs will meet.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from tempfile import mkdtemp
from urllib.request import urlopen

import pytest

from vr1_ray.figure_math.dataset import write_dataset

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LIMIT = 1800.0  # seconds, for whatever is waited for
START_ATTEMPTS = 4
pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(5400)]

CONFIG = """
kind: rl
name: job
prompts_per_step: 2
allow_base_policy: true
model: {{path: {model}, max_model_len: 160}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer: {{num_cpus_per_worker: 0.2, resources: {{learns: 1}}, label_selector: {{role: trainer}}}}
rollout: {{num_cpus_per_engine: 0.2, kv_cache_gib: 0.1, save: none}}
reward_pools: {{default: {{num_cpus_per_actor: 0.1}}}}
reference: {{num_actors: 2, sharded: true, num_cpus_per_actor: 0.1}}
checkpoint: {{grace_seconds: {limit}}}
cluster: {{address: auto, start_timeout_seconds: {limit}, step_timeout_seconds: {limit}}}
"""


def wait_until(what: str, is_so: Callable[[], bool], goes_on: Callable[[], bool]) -> None:
    """Look until it is so. Fails if what would make it so has ended, or after the limit."""
    deadline = time.monotonic() + LIMIT
    while not is_so():
        assert goes_on(), f"ended before {what}"
        assert time.monotonic() < deadline, f"not within {LIMIT:.0f} s: {what}"
        time.sleep(0.5)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Cluster:
    """Two nodes of Ray on this machine, and the environment of one who uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, dashboard, *self.agents = free_ports(4)
        # Ray's sockets have paths of at most 107 characters, which pytest's folders may exceed.
        self.scratch = Path(mkdtemp(prefix="vr1-", dir="/tmp"))
        self.environment = os.environ | {
            # Another user's token, or one that a local run left behind, would be asked for.
            "HOME": str(self.scratch),
            "RAY_AUTH_MODE": "disabled",
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
            "RAY_JOB_STOP_WAIT_TIME_S": str(int(LIMIT)),  # as the README says
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HF_HUB_OFFLINE": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # A busy machine is no dead node.
            "RAY_health_check_timeout_ms": "60000",
            "RAY_health_check_failure_threshold": "30",
        }
        self.environment.pop("RAY_ADDRESS", None)
        self.nodes: list[subprocess.Popen] = []
        self._start(
            self.lists_jobs, "--head", f"--port={self.port}", f"--dashboard-port={dashboard}",
            f"--temp-dir={self.scratch}/ray", f"--dashboard-agent-listen-port={self.agents[0]}",
        )  # fmt: skip
        self._start(
            self.has_two_nodes, f"--address=127.0.0.1:{self.port}", "--labels=role=trainer",
            '--resources={"learns": 1}', f"--dashboard-agent-listen-port={self.agents[1]}",
        )  # fmt: skip

    def _start(self, is_ready: Callable[[], bool], *arguments: str) -> None:
        """Start a node and wait until it is there; Ray gives up on its own processes if they come late."""
        command = [str(BIN / "ray"), "start", "--block", "--num-cpus=2", *arguments]
        command += ["--node-ip-address=127.0.0.1", "--object-store-memory=200000000"]
        log = self.folder / "ray.log"
        for _ in range(START_ATTEMPTS):
            with log.open("a") as file:
                node = subprocess.Popen(
                    command, env=self.environment, stdout=file, stderr=file, start_new_session=True
                )
            deadline = time.monotonic() + LIMIT
            while node.poll() is None and time.monotonic() < deadline:
                if is_ready():
                    self.nodes.append(node)
                    return
                time.sleep(1)
            end(node)
        raise AssertionError(f"no node of Ray came up:\n{log.read_text()[-3000:]}")

    def get(self, path: str) -> object:
        with urlopen(self.environment["RAY_API_SERVER_ADDRESS"] + path, timeout=30) as answer:
            return json.load(answer)

    def lists_jobs(self) -> bool:
        """An open port is not yet a dashboard that takes jobs."""
        try:
            return isinstance(self.get("/api/jobs/"), list)
        except (OSError, HTTPException, ValueError):
            return False

    def has_two_nodes(self) -> bool:
        try:
            summary = self.get("/nodes?view=summary")
        except (OSError, HTTPException, ValueError):
            return False
        states = [node["raylet"].get("state") for node in summary["data"]["summary"]]
        return states.count("ALIVE") == 2

    def run(self, *command: str | Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip

    def job(self, name: str) -> dict:
        found = self.get(f"/api/jobs/{name}")
        assert isinstance(found, dict)
        return found

    def stop(self) -> None:
        for node in reversed(self.nodes):
            end(node)


def end(node: subprocess.Popen) -> None:
    """End a node with all its processes."""
    try:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait(timeout=120)
    except ProcessLookupError:  # it has ended by itself
        node.wait(timeout=120)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    write_dataset(
        folder / "figures", seed=0, num_train=16, num_validation=4, num_test=4, num_demonstrations=4
    )
    path = folder / "job.yaml"
    model = ROOT / "examples/vr1_tiny/model"
    path.write_text(CONFIG.format(model=model, figures=folder / "figures", limit=LIMIT))
    return path


def stages(steps: int) -> str:
    return f"curriculum.stages=[{{max_response_tokens: 24, group_size: 2, steps: {steps}}}]"


def submit(cluster: Cluster, name: str, config: Path, *overrides: str) -> subprocess.Popen:
    """The README's line, with this run's name, config and folder."""
    readme = (ROOT / "examples/ray_job/README.md").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ray job submit .*$", readme, re.MULTILINE)
    line = line.replace("--submission-id rl-7b", f"--submission-id {name}")
    line = line.replace("configs/vision_r1/rl_7b.yaml", str(config))
    line = line.replace("/shared/runs", str(config.parent / "runs"))
    line += "".join(f" '{override}'" for override in overrides)
    with open(config.parent / f"{name}.log", "w") as log:
        return subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=ROOT,
            env=cluster.environment,
            stdout=log,
            stderr=log,
        )


def rows_logged(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []  # whole lines alone
    return [json.loads(line) for line in lines]


def steps_logged(run: Path) -> list[int]:
    return [row["step"] for row in rows_logged(run)]


def test_vr1_check_sees_the_cluster_and_its_nodes_reach_each_other(cluster, config):
    done = cluster.run(
        BIN / "vr1", "check", config, stages(4), f"cluster.address=127.0.0.1:{cluster.port}",
        "trainer.num_workers=2", "trainer.zero_stage=2",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^cluster +joined, 2 nodes", done.stdout, re.MULTILINE)
    assert re.search(r"^nodes reach each other \(gloo\) +2 nodes", done.stdout, re.MULTILINE)
    assert re.search(r"^packages .* 2 nodes +ok$", done.stdout, re.MULTILINE)


def test_a_job_is_scaled_stopped_with_a_checkpoint_and_goes_on_when_it_is_submitted_again(
    cluster, config
):
    run = config.parent / "runs/job"
    first = submit(cluster, "rl-1", config, stages(100_000))
    wait_until("step 2", lambda: 2 in steps_logged(run), lambda: first.poll() is None)
    scaled = cluster.run(BIN / "vr1", "scale", run, "--engines", "2", "--wait", str(LIMIT))
    assert scaled.stdout.startswith("engines: 1 -> 2\n"), scaled.stdout + scaled.stderr
    wait_until(
        "two engines",
        lambda: rows_logged(run)[-1]["engines/healthy"] == 2,
        lambda: first.poll() is None,
    )
    stopped = cluster.run(BIN / "ray", "job", "stop", "rl-1")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    # Ray counts a stopped job as no failure of the command that submitted it.
    assert first.wait(timeout=LIMIT) == 0
    assert cluster.job("rl-1")["status"] == "STOPPED"
    log = (config.parent / "rl-1.log").read_text()
    assert "stopped by SIGTERM" in log
    last = steps_logged(run)[-1]
    assert [path.name for path in (run / "checkpoints").iterdir()] == [f"step_{last:06d}"]
    assert not (run / "result.json").exists()

    second = submit(cluster, "rl-2", config, stages(last + 2))
    assert second.wait(timeout=LIMIT) == 0, (config.parent / "rl-2.log").read_text()[-3000:]
    info = cluster.job("rl-2")
    assert (info["status"], info["driver_exit_code"]) == ("SUCCEEDED", 0)
    assert (
        f"going on from {run}/checkpoints/step_{last:06d}"
        in (config.parent / "rl-2.log").read_text()
    )
    assert steps_logged(run) == list(range(1, last + 3))
    assert json.loads((run / "result.json").read_text())["kind"] == "rl"
    assert (run / "policy/model.safetensors").is_file()


def test_a_run_that_fails_fails_its_job_with_its_message(cluster, config):
    done = submit(cluster, "rl-3", config, stages(4), "name=other", "data.answer_column=none")
    assert done.wait(timeout=LIMIT) == 1
    assert "set data.answer_column to the right one" in (config.parent / "rl-3.log").read_text()
    info = cluster.job("rl-3")
    assert (info["status"], info["driver_exit_code"]) == ("FAILED", 2)
