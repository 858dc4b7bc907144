"""The wheel, its command, and the torchvision hook of the set-up."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import vr1_ray

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "docker" / "torchvision_hook.py"
SHIPPED = (
    "configs",
    "examples/vr1_tiny/model",
    "examples/bridging/vr1_tiny_prompts",
    "examples/evaluation/fixtures",
)
PATCHED = ("torchvision", "torchaudio", "torchcodec")
CPU_TORCH = torch.version.cuda is None and torch.version.hip is None


def run(*command: str, **env: str) -> str:
    """Run a command outside the tree; its output, or a failure that shows it."""
    done = subprocess.run(
        command,
        cwd="/",
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, by way of a source distribution, as `python -m build` does; the tree stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "vr1_ray", source / "vr1_ray", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "-o", str(out), str(source))
    return next(out.glob("*.whl"))


def test_wheel_holds_every_module_and_nothing_else(wheel: Path):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "vr1_ray").rglob("*.py")}
    assert sources <= packed
    shipped = [path for name in SHIPPED for path in (ROOT / name).rglob("*") if path.is_file()]
    assert {f"vr1_ray/shipped/{path.relative_to(ROOT)}" for path in shipped} <= packed
    assert wheel.stat().st_size < 10 << 20
    assert "vr1_ray/py.typed" in packed
    assert all(name.startswith("vr1_ray/") for name in packed)
    assert wheel.name == f"vr1_ray-{vr1_ray.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_file_that_a_shipped_config_names(wheel: Path):
    packed = zipfile.ZipFile(wheel).namelist()
    texts = [path.read_text() for path in (ROOT / "configs").rglob("*.yaml")]
    lines = [line.partition("#")[0] for text in texts for line in text.splitlines()]
    named = {name for line in lines for name in re.findall(r"(?:examples|configs)/[\w./-]+", line)}
    assert "examples/vr1_tiny/model" in named
    missing = [
        name
        for name in named
        if not any(path.startswith(f"vr1_ray/shipped/{name}") for path in packed)
    ]
    assert missing == []


def test_installed_wheel_prints_its_help(wheel: Path, tmp_path: Path):
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", str(tmp_path), str(wheel))
    assert "usage" in run(str(tmp_path / "bin" / "vr1"), "--help", PYTHONPATH=str(tmp_path)).lower()


def test_an_installed_wheel_finds_the_shipped_configs_and_the_tiny_model(
    wheel: Path, tmp_path: Path
):
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", str(tmp_path), str(wheel))
    code = """
import vr1_ray
from vr1_ray.config import recipe_runs
from vr1_ray.config.shipped import shipped_configs
print(vr1_ray.__file__)
recipe = vr1_ray.load_config("configs/quickstart.yaml")
print(recipe.model.path)
print(recipe_runs(recipe)[1].model.path)
print(vr1_ray.load_config("configs/bridge_vllm.yaml").bridge.prompts)
print(*shipped_configs())
try:
    vr1_ray.load_config("configs/quick.yaml")
except vr1_ray.ConfigError as error:
    print(error)
"""
    module, model, again, prompts, configs, error = run(
        sys.executable, "-c", code, PYTHONPATH=str(tmp_path)
    ).splitlines()
    assert Path(module).is_relative_to(tmp_path)
    assert model == again == str(tmp_path / "vr1_ray/shipped/examples/vr1_tiny/model")
    assert prompts == str(tmp_path / "vr1_ray/shipped/examples/bridging/vr1_tiny_prompts")
    assert set(configs.split()) == {
        str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert "config 'configs/quick.yaml' does not exist" in error
    assert "configs/quickstart.yaml" in error


def test_environment_imports_what_the_processor_and_vllm_import():
    code = """
import torchvision, torchaudio
from transformers import Qwen2VLVideoProcessor
try:
    import torchcodec
except (ImportError, RuntimeError):  # what vLLM expects of a codec that can't be used
    pass
"""
    run(sys.executable, "-c", code)


def test_hook_is_in_place_and_costs_no_import_of_torch():
    code = """
import sys
assert "torch" not in sys.modules
assert "FirstImportFinder" in [type(finder).__name__ for finder in sys.meta_path]
"""
    run(sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("loads", "build", "outcome"),
    [
        (True, "+cu130", "False,loaded,loaded"),  # a sound pair: nothing is defined or replaced
        (False, "+cpu", "False,OSError,OSError"),  # broken, but not for want of CUDA
        (False, "+cu130", "True,False,ImportError" if CPU_TORCH else "False,OSError,OSError"),
    ],
)
def test_hook_mends_only_cuda_builds_beside_cpu_torch(
    tmp_path: Path, loads: bool, build: str, outcome: str
):
    # Packages of the same shape as the real ones, up to the point where those would die.
    load = "return 'loaded'" if loads else "raise OSError"
    for path, text in {
        "torchvision/__init__.py": "from torchvision import extension",
        "torchvision/extension.py": f"def _has_ops(): return {loads}",
        "torchaudio/__init__.py": "",
        "torchaudio/_extension/__init__.py": "",
        "torchaudio/_extension/utils.py": f"def _load_lib(name): {load}",
        "torchcodec/__init__.py": "",
        "torchcodec/_internally_replaced_utils.py": f"def load_image_library(): {load}",
        **{f"{name}/version.py": f"__version__ = '1.0{build}'" for name in PATCHED},
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    shutil.copy(HOOK, tmp_path / "vr1_torchvision_hook.py")

    code = """
import sys, vr1_torchvision_hook, torch, torchvision
from torchaudio._extension.utils import _load_lib
from torchcodec._internally_replaced_utils import load_image_library

def outcome(load, *args):
    try:
        return load(*args)
    except Exception as error:
        return type(error).__name__

has_nms = hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
print(has_nms, outcome(_load_lib, "_torchaudio"), outcome(load_image_library), sep=",")
assert "FirstImportFinder" not in [type(finder).__name__ for finder in sys.meta_path]
"""
    # -S: without the environment's own copy of the hook; site-packages comes back by PYTHONPATH.
    site_packages = str(Path(torch.__file__).parents[1])
    path = os.pathsep.join([str(tmp_path), site_packages])
    assert run(sys.executable, "-S", "-c", code, PYTHONPATH=path).strip() == outcome
