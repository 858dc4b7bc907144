"""A submitted job carries the code and nothing else, small enough for Ray, with its command line quoted."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE, create_package
from ray.runtime_env import RuntimeEnv

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def submit():
    spec = importlib.util.spec_from_file_location("submit", ROOT / "examples/ray_job/submit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packed(tmp_path_factory, submit) -> tuple[set[str], int]:
    """What Ray packs of this repository with a run, data and an environment in it, and the size of that."""
    folder = tmp_path_factory.mktemp("repository")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in tracked.stdout.split("\n"):
        if name and (ROOT / name).is_file() and name != ".gitignore":  # the excludes alone must do
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name in (
        "runs/x/checkpoints/step_000010/trainer/state.pt",
        "data/vision_r1_cold/rows.json",
        ".venv/lib/package.py",
        ".git/config",
        "policy/model.safetensors",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    target = tmp_path_factory.mktemp("package") / "package.zip"
    excludes = submit.runtime_env({})["excludes"]
    create_package(str(folder), target, include_gitignore=True, excludes=excludes)
    return set(zipfile.ZipFile(target).namelist()), target.stat().st_size


def test_the_package_holds_code_configs_and_the_tiny_model(packed):
    names, _ = packed
    assert {
        "setup.py",
        "configs/vision_r1/rl_7b.yaml",
        "vr1_ray/loops/rl_loop.py",
        "vr1_ray/data/prompts.py",  # not taken for the folder of datasets
        "examples/vr1_tiny/model/model.safetensors",
    } <= names


def test_the_package_leaves_out_runs_data_and_environments(packed):
    names, _ = packed
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"runs", "data", "tests", ".venv", ".git"}
    assert "policy/model.safetensors" not in names


def test_the_package_is_as_small_as_the_readme_says(packed):
    _, size = packed
    assert GCS_STORAGE_MAX_SIZE == 512 * 2**20  # the README names it
    assert size < 11 * 2**20


def test_ray_accepts_the_runtime_environment():
    settings = yaml.safe_load((ROOT / "examples/ray_job/runtime_env.yaml").read_text())
    settings["working_dir"] = str(ROOT)
    assert RuntimeEnv(**settings)["env_vars"]["TOKENIZERS_PARALLELISM"] == "false"


def test_tokens_are_passed_on_and_nothing_else_is(submit):
    passed = submit.runtime_env({"HF_TOKEN": "secret", "AWS_SECRET_ACCESS_KEY": "other"})[
        "env_vars"
    ]
    assert passed["HF_TOKEN"] == "secret"
    assert "AWS_SECRET_ACCESS_KEY" not in passed


def test_overrides_reach_the_run_as_they_were_written(submit):
    line = submit.entrypoint("configs/quickstart.yaml", ["name=a b", "rewards=[{name: x}]"])
    assert line == "vr1 run configs/quickstart.yaml 'name=a b' 'rewards=[{name: x}]'"


def test_the_script_says_how_it_is_used():
    done = subprocess.run(
        [sys.executable, ROOT / "examples/ray_job/submit.py", "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "--submission-id" in done.stdout
