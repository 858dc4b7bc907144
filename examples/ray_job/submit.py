"""Submit a run to a Ray cluster and follow it: the Python form of `ray job submit`.

    python examples/ray_job/submit.py --address http://127.0.0.1:8265 \
        configs/vision_r1/rl_7b.yaml runs_folder=/shared/runs

Prints the driver's log while the job runs; the exit code is 0 if it succeeded, 1 if not. Ctrl-C stops the job;
submitting again goes on from its last checkpoint, if `runs_folder` is a folder that all nodes see. A job is run
once: whoever submits also tries again.
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from ray.job_submission import JobStatus, JobSubmissionClient

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = ("HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE", "WANDB_API_KEY", "WANDB_MODE")
POLL_SECONDS = 2.0


def runtime_env(environment: dict[str, str]) -> dict[str, Any]:
    """`runtime_env.yaml`, with the repository as the job's folder and what is passed on of `environment`."""
    settings = yaml.safe_load((ROOT / "examples/ray_job/runtime_env.yaml").read_text())
    settings["working_dir"] = str(ROOT)
    passed = {name: environment[name] for name in PASSED_ON if name in environment}
    settings["env_vars"] = settings["env_vars"] | passed
    return settings


def entrypoint(config: str, overrides: list[str]) -> str:
    """The job's command line, quoted for its shell."""
    return shlex.join(["vr1", "run", config, *overrides])


def follow(client: JobSubmissionClient, job: str) -> JobStatus:
    """Print what the driver logs until the job has ended."""
    shown = 0
    while True:
        status = client.get_job_status(job)  # before the log, so that the last lines are not missed
        log = client.get_job_logs(job)
        print(log[shown:], end="", flush=True)
        shown = len(log)
        if status.is_terminal():
            return status
        time.sleep(POLL_SECONDS)


def main() -> int:
    """Submit, follow, and say how it ended; the exit code is the job's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--address", default="http://127.0.0.1:8265", help="the cluster's dashboard"
    )
    parser.add_argument("--submission-id", help="a name to find the job by")
    parser.add_argument("config", help="a YAML file of this repository")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    client = JobSubmissionClient(arguments.address)
    job = client.submit_job(
        entrypoint=entrypoint(arguments.config, arguments.overrides),
        runtime_env=runtime_env(dict(os.environ)),
        submission_id=arguments.submission_id,
    )
    print(f"submitted {job}", flush=True)
    try:
        status = follow(client, job)
    except KeyboardInterrupt:
        client.stop_job(job)
        status = follow(client, job)
    print(f"{job}: {status}: {client.get_job_info(job).message}")
    return 0 if status == JobStatus.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
