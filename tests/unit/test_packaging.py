"""The wheel, its command, and the torchvision hook of the set-up."""

import os
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
    """A wheel built from a copy, so that the tree stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "vr1_ray", source / "vr1_ray", ignore=shutil.ignore_patterns("__pycache__")
    )
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(source))
    return next(out.glob("*.whl"))


def test_wheel_holds_every_module_and_nothing_else(wheel: Path):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "vr1_ray").rglob("*.py")}
    assert sources <= packed
    assert "vr1_ray/py.typed" in packed
    assert all(name.startswith("vr1_ray/") for name in packed)
    assert wheel.name == f"vr1_ray-{vr1_ray.__version__}-py3-none-any.whl"


def test_installed_wheel_prints_its_help(wheel: Path, tmp_path: Path):
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", str(tmp_path), str(wheel))
    assert "usage" in run(str(tmp_path / "bin" / "vr1"), "--help", PYTHONPATH=str(tmp_path)).lower()


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
