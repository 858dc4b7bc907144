"""What the tests of this folder share: `vr1 rl` in a process of its own, and its actors' processes to kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "vr1_tiny" / "model"
LIMIT = float(os.environ.get("VR1_FAULTS_LIMIT", "300"))  # seconds any wait of a test may take
SECRETS = {
    "WANDB_API_KEY": "wandb-0123456789abcdef",
    "OPENAI_API_KEY": "openai-0123456789abcdef",
    "HF_TOKEN": "hf-0123456789abcdef",
}


def write_config(folder: Path, figures: Path) -> None:
    """A run of two PTST stages, four steps each, with everything in it that can be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 4
allow_base_policy: true
model: {{path: {MODEL}, max_model_len: 160}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 2, zero_stage: 2, num_cpus_per_worker: 0.2, num_threads: 1, max_tokens_per_micro_batch: 1024,
    collective_timeout_seconds: {LIMIT / 5}, optimizer: {{lr: 1.0e-3}}}}
rollout: {{num_cpus_per_engine: 0.2, num_threads: 1, kv_cache_gib: 0.1, save: all}}
reward_pools: {{default: {{num_cpus_per_actor: 0.1}}}}
reference: {{num_cpus_per_actor: 0.1}}
rewards: [{{name: soft_format_result}}]
curriculum:
  stages:
    - {{max_response_tokens: 24, group_size: 4, steps: 4}}
    - {{max_response_tokens: 48, group_size: 2, steps: 4}}
checkpoint: {{every_steps: 2, keep_last: 9}}
cluster:
  {{address: local, num_cpus: 2, start_timeout_seconds: {2 * LIMIT}, step_timeout_seconds: {LIMIT}}}
""")


def vr1(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "vr1_ray.cli", *map(str, arguments)]


def finish(command: list[str], *, code: int = 0) -> str:
    """Run to the end; what was printed."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=2 * LIMIT, check=False
    )
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


class Run:
    """A run under way, and what is known of it from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        self.log = folder / "driver.log"
        with open(self.log, "ab") as log:
            self.driver = subprocess.Popen(
                vr1("rl", folder / "run.yaml"),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | SECRETS,
            )

    def printed(self) -> str:
        return self.log.read_text()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until a condition holds; an error says what did not come, and what was printed."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert self.driver.poll() is None, f"the run ended before {what}: {self.printed()}"
            assert time.monotonic() < deadline, f"{what} did not come: {self.printed()}"
            time.sleep(0.002)

    def wait_for_step(self, step: int) -> None:
        self.wait(lambda: step in steps_of(self.folder), f"step {step}")

    def wait_for_text(self, text: str) -> None:
        self.wait(lambda: text in self.printed(), repr(text))

    def actor(self, kind: str, log: str = "") -> psutil.Process:
        """The process of an actor: its title is `ray::CLASS[.METHOD]`, and it writes to logs/LOG."""
        [found] = [
            process
            for process in psutil.Process(self.driver.pid).children(recursive=True)
            if title_of(process).startswith(f"ray::{kind}") and output_of(process).endswith(log)
        ]
        return found

    def trainer(self, rank: int) -> psutil.Process:
        return self.actor("TrainerActor", f"trainer_{rank}.log")

    def wait_until_busy(self, process: psutil.Process, method: str) -> None:
        """Until an actor works at a method."""
        self.wait(lambda: title_of(process).endswith(f".{method}"), f"a call of {method}")

    def kill(self) -> None:
        """SIGKILL for the driver and all that hangs on it."""
        os.killpg(self.driver.pid, signal.SIGKILL)
        self.driver.wait()


def title_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def output_of(process: psutil.Process) -> str:
    try:
        return os.readlink(f"/proc/{process.pid}/fd/1")
    except OSError:
        return ""


def rows_of(run_folder: Path) -> list[dict]:
    path = run_folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def steps_of(run_folder: Path) -> list[int]:
    return [row["step"] for row in rows_of(run_folder)]


def weights_of(run_folder: Path) -> dict:
    return load_file(run_folder / "policy" / "model.safetensors")
