"""The sbatch script, run with stand-ins for Slurm's and Ray's commands: order, nodes, exit code, time limit."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "examples/slurm/vision_r1.sbatch"

STAND_INS = {
    "scontrol": 'printf "%s\\n" node1 node2 node3',
    # Runs the command it is given, and notes where.
    "srun": """
        echo "srun $*" >>"$LOG"
        while [[ $1 == --* ]]; do shift; done
        if [[ $1 == hostname ]]; then echo "10.0.0.1 10.0.0.2"; else exec "$@"; fi""",
    "ray": """
        echo "ray $*" >>"$LOG"
        case "$1 $2" in
            "job submit") [[ -z ${SUBMIT_SECONDS:-} ]] || sleep "$SUBMIT_SECONDS"; exit "${SUBMIT_STATUS:-0}" ;;
            "health-check --address") grep -q "^ray start --head" "$LOG" && exit "${HEALTH_STATUS:-0}"; exit 1 ;;
        esac""",
    # The count of joined nodes: all are there once the others, if there are any, have started Ray.
    "python": """
        cat >/dev/null
        (($3 == 1)) || grep -q "^ray start --address" "$LOG" || exit 1
        echo "python $*" >>"$LOG" """,
    "vr1": "true",
}


@pytest.fixture
def environment(tmp_path):
    commands = tmp_path / ".venv/bin"
    commands.mkdir(parents=True)
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (commands / name).chmod(0o755)
    return os.environ | {
        "LOG": str(tmp_path / "log"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-3]",
        "HOME": str(tmp_path / "home"),
        "RAY_START_SECONDS": "60",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", SCRIPT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log_of(environment: dict[str, str]) -> list[str]:
    return Path(environment["LOG"]).read_text().splitlines()


def position(log: list[str], start: str) -> int:
    return next(place for place, line in enumerate(log) if line.startswith(start))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_head_starts_first_then_the_others_then_the_job(environment):
    done = run(environment, "configs/vision_r1/rl_7b.yaml", "runs_folder=/shared/my runs")
    assert done.returncode == 0, done.stderr
    log = log_of(environment)
    head = position(log, "srun --overlap --nodes=1 --ntasks=1 --nodelist=node1 ray start --head")
    healthy = position(log, "ray health-check --address 10.0.0.1:6379")
    others = position(
        log, "srun --overlap --nodes=2 --ntasks=2 --exclude=node1 ray start --address=10"
    )
    counted = position(log, "python - 10.0.0.1:6379 3")
    submitted = position(log, "ray job submit --submission-id vision-r1-7 --")
    # The stand-in of health-check is well only once the head runs, that of the count once the others do.
    # The first question may come before the head, which starts in the background.
    assert max(head, healthy) < others < counted < submitted
    assert log[submitted].endswith(
        "vr1 run configs/vision_r1/rl_7b.yaml runs_folder=/shared/my runs"
    )


def test_every_command_has_a_token_of_this_job_and_a_run_has_the_time_to_save(environment):
    ray = Path(environment["SLURM_SUBMIT_DIR"]) / ".venv/bin/ray"
    seen = '"$RAY_AUTH_MODE ${#RAY_AUTH_TOKEN} $RAY_JOB_STOP_WAIT_TIME_S $(cat ~/.ray/*.token | wc -c)"'
    modes = '"$(stat -c %a ~/.ray ~/.ray/*.token | tr "\\n" " ")"'
    first, *rest = ray.read_text().splitlines()
    ray.write_text("\n".join([first, f"echo {seen} {modes} >>$LOG.environment", *rest]))
    assert run(environment, "config.yaml").returncode == 0
    lines = set(Path(environment["LOG"] + ".environment").read_text().splitlines())
    assert lines == {"token 64 1140 64 700 600 "}
    assert not list((Path(environment["HOME"]) / ".ray").iterdir())  # gone with the job


def test_two_jobs_have_different_tokens(environment):
    ray = Path(environment["SLURM_SUBMIT_DIR"]) / ".venv/bin/ray"
    first, *rest = ray.read_text().splitlines()
    ray.write_text("\n".join([first, "echo $RAY_AUTH_TOKEN >>$LOG.tokens", *rest]))
    for _ in range(2):
        assert run(environment, "config.yaml").returncode == 0
    assert len(set(Path(environment["LOG"] + ".tokens").read_text().split())) == 2


def test_the_exit_code_is_the_jobs(environment):
    assert run(environment | {"SUBMIT_STATUS": "1"}, "config.yaml").returncode == 1


def test_a_head_that_does_not_come_up_ends_the_allocation_with_a_message(environment):
    done = run(environment | {"HEALTH_STATUS": "1", "RAY_START_SECONDS": "1"}, "config.yaml")
    assert done.returncode == 1
    assert "RAY_START_SECONDS" in done.stderr
    assert not [line for line in log_of(environment) if line.startswith("ray job submit")]


def test_no_config_is_refused_with_the_usage(environment):
    done = run(environment)
    assert done.returncode != 0
    assert "usage: sbatch" in done.stderr


def test_one_node_is_a_cluster_too(environment):
    scontrol = Path(environment["SLURM_SUBMIT_DIR"]) / ".venv/bin/scontrol"
    scontrol.write_text("#!/usr/bin/env bash\necho node1\n")
    assert run(environment, "config.yaml").returncode == 0
    assert not [line for line in log_of(environment) if "--exclude" in line]


def test_before_the_time_limit_the_job_is_stopped_in_order(environment):
    script = subprocess.Popen(
        ["bash", SCRIPT, "config.yaml"], env=environment | {"SUBMIT_SECONDS": "4"}
    )
    deadline = time.monotonic() + 30
    while not (Path(environment["LOG"]).is_file() and "job submit" in "".join(log_of(environment))):
        assert time.monotonic() < deadline, "the job was never submitted"
        time.sleep(0.1)
    script.send_signal(signal.SIGTERM)
    assert script.wait(timeout=30) == 0  # that of the job, which ended after it was stopped
    assert log_of(environment)[-1] == "ray job stop vision-r1-7"
