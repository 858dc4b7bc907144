"""The machines a run is planned for, and how a number of bytes is held against them."""

from dataclasses import dataclass

from vr1_ray.config.machines import MachinesConfig
from vr1_ray.preflight.memory import GIB
from vr1_ray.preflight.speed import Speed
from vr1_ray.preflight.table import CheckRow, Status

HEADROOM = 0.9  # a share of a limit; above it an estimate can't promise anything
OBJECT_STORE_SHARE = 0.3  # of a node's memory: Ray's default


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The machines a run is planned for. None: not known, so nothing is held against it.

    Example:
        Machine(gpu_gib=80, gpus_per_node=8, host_gib=1000, num_gpus=64)
    """

    gpu_gib: float = 80.0  # memory of one GPU
    gpus_per_node: int = 8
    host_gib: float | None = None  # memory of one node
    num_gpus: int | None = None  # of the whole cluster
    num_nodes: int = 1
    cpus_per_node: float | None = None
    speed: Speed | None = None  # of one GPU, or of one core where the run uses no GPU
    free_disk_gib: float | None = None  # where the run folder lies; None: asked of this machine


def assumed_machine(assume: MachinesConfig) -> Machine:
    """The machines that `cluster.assume` describes."""
    return Machine(
        gpu_gib=assume.gpu_gib,
        gpus_per_node=assume.gpus_per_node,
        host_gib=assume.host_gib,
        num_gpus=assume.nodes * assume.gpus_per_node,
        num_nodes=assume.nodes,
        cpus_per_node=assume.cpus_per_node,
        free_disk_gib=assume.disk_gib,
        speed=Speed(
            flops=assume.gpu_tflops * 1e12,
            bytes_per_second=assume.gpu_gb_per_second * 1e9,
            is_gpu=True,
        ),
    )


def judged(name: str, needed: float, limit: float | None, cure: str) -> CheckRow:
    """A row of bytes against a limit of bytes."""
    status: Status = "ok"
    if limit is not None and needed > HEADROOM * limit:
        status = "bad" if needed > limit else "warning"
    return CheckRow(
        name=name,
        value=gib(needed),
        limit="-" if limit is None else gib(limit),
        status=status,
        cure="" if status == "ok" else cure,
    )


def gib(amount: float) -> str:
    """Bytes for people."""
    return f"{amount / GIB:,.1f} GiB" if amount >= 0.1 * GIB else f"{amount / 2**20:,.1f} MiB"
