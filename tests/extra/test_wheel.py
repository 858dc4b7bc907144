"""A wheel in a clean environment, without the repository: `vr1 init`, a tiny run, the ten lines of Python.

Minutes, and gigabytes of packages: torch's CPU build first and alone, as docker/setup_env.sh has it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SOURCES = ("setup.py", "pyproject.toml", "LICENSE", "README.md", "vr1_ray", "configs", "examples")


def run(folder: Path, *command: object, seconds: float = 600, expected: int = 0) -> str:
    """A command, with nothing of this environment or repository in sight; what it printed."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "RAY_ADDRESS")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == expected, f"{command}\n{printed[-4000:]}"
    return printed


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """bin/ of an environment that holds the wheel and what it asks for, and nothing else."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    run(source, sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, source)
    [wheel] = dist.glob("*.whl")
    environment = tmp_path_factory.mktemp("environment")
    run(environment, sys.executable, "-m", "venv", environment)
    pip = (environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install")
    try:
        run(environment, *pip, "torch==2.13.0+cpu", seconds=1800)
    except AssertionError:  # as setup_env.sh: the configured indexes have no CPU build
        index = ("--extra-index-url", CPU_WHEELS)
        run(environment, *pip, *index, "torch==2.13.0+cpu", "torchvision", seconds=1800)
    run(environment, *pip, f"{wheel}[cpu]", seconds=1800)
    run(environment, environment / "bin" / "python", ROOT / "docker" / "torchvision_hook.py")
    return environment / "bin"


def test_it_is_the_wheel_that_runs(clean, tmp_path):
    printed = run(tmp_path, clean / "python", "-c", "import vr1_ray; print(vr1_ray.__file__)")
    assert Path(printed.strip()).is_relative_to(clean.parent)


def test_the_ten_lines_train_from_the_wheel(clean, tmp_path):
    shutil.copy(ROOT / "examples/python/ten_lines.py", tmp_path)
    run(tmp_path, clean / "python", "ten_lines.py")
    assert (tmp_path / "runs/ten_lines/policy/model.safetensors").is_file()


def test_a_recipe_by_its_shipped_name_runs_from_the_wheel(clean, tmp_path):
    steps = (
        "steps.figure_math.figure_math.num_train=64",
        "steps.figure_math.figure_math.num_validation=8",
        "steps.figure_math.figure_math.num_test=8",
        "steps.figure_math.figure_math.num_demonstrations=64",
        "steps.cold_start.max_steps=1",
        "steps.cold_start.prompts_per_step=8",
        "steps.rl.prompts_per_step=4",
        "steps.rl.curriculum.stages=[{max_response_tokens: 32, group_size: 4, steps: 1}]",
        "eval.max_response_tokens=32",
        "steps.rl.eval.max_response_tokens=32",
        "rollout.kv_cache_gib=0.1",
        "cluster.num_cpus=2",
    )
    run(tmp_path, clean / "vr1", "run", "configs/quickstart.yaml", *steps, seconds=900)
    assert (tmp_path / "runs/quickstart/report.html").is_file()


def test_init_writes_a_config_that_checks_from_the_wheel(clean, tmp_path):
    run(tmp_path, clean / "vr1", "init", "mine")
    assert list(tmp_path.rglob("*.yaml"))


def test_a_config_that_is_not_there_names_the_shipped_ones(clean, tmp_path):
    printed = run(tmp_path, clean / "vr1", "run", "configs/mine.yaml", expected=2)
    assert "configs/quickstart.yaml" in printed
