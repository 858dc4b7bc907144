"""The machines a run is meant for, for `vr1 check` on a machine that is none of them."""

from dataclasses import dataclass


@dataclass
class MachinesConfig:
    """Equal nodes with equal GPUs. Figures of one H100 node where nothing else is said.

    Example:
        MachinesConfig(nodes=8, gpus_per_node=8, gpu_gib=80)
    """

    nodes: int = 1
    gpus_per_node: int = 8
    gpu_gib: float = 80.0  # memory of one GPU
    gpu_tflops: float = 989.0  # dense bfloat16 matrix products of one GPU, as its maker gives them
    gpu_gb_per_second: float = 3350.0  # memory bandwidth of one GPU
    cpus_per_node: int = 96
    host_gib: float = 1000.0  # memory of one node
    disk_gib: float = 4000.0  # free where `runs_folder` lies
