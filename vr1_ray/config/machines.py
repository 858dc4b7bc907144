"""The machines a run is meant for, for `vr1 check` on a machine that is none of them."""

from dataclasses import dataclass

from vr1_ray.config.ranges import Above0, CountFrom1


@dataclass
class MachinesConfig:
    """Equal nodes with equal GPUs. Figures of one H100 node where nothing else is said.

    Example:
        MachinesConfig(nodes=8, gpus_per_node=8, gpu_gib=80)
    """

    nodes: CountFrom1 = 1  # of the run
    gpus_per_node: CountFrom1 = 8  # all alike
    gpu_gib: Above0 = 80.0  # memory of one GPU
    gpu_tflops: Above0 = 989.0  # dense bfloat16 matrix products of one GPU, as its maker gives them
    gpu_gb_per_second: Above0 = 3350.0  # memory bandwidth of one GPU
    cpus_per_node: CountFrom1 = 96  # cores that Ray may give out
    host_gib: Above0 = 1000.0  # memory of one node
    disk_gib: Above0 = 4000.0  # free where `runs_folder` lies
