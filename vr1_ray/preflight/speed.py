"""How fast a device is: measured here for CPUs, from its maker's figures for GPUs.

A CPU core is measured with matrix products of the model's own shape, which takes a tenth of a second. GPU
figures are dense bfloat16 and memory bandwidth; how much of them a run gets is in `step_time.py`.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Of one device: a GPU, or a CPU core.

    Example:
        Speed(flops=989e12, bytes_per_second=3.35e12, is_gpu=True)
    """

    flops: float  # floating point operations a second: measured (CPU) or the maker's (GPU)
    bytes_per_second: float
    is_gpu: bool


GPUS = {  # part of the device's name -> bfloat16 TFLOP/s, GB/s
    "B200": (2250, 8000),
    "H200": (989, 4800),
    "H100": (989, 3350),
    "H800": (989, 3350),
    "H20": (148, 4000),
    "A100": (312, 2039),
    "A800": (312, 2039),
    "L40S": (362, 864),
}
CPU_BYTES_PER_SECOND = 5e9  # of one core; decoding a small model on CPU hardly depends on it


def gpu_speed(name: str) -> Speed | None:
    """The speed of a GPU by its name, None for one not known here."""
    for part, (tflops, gbps) in GPUS.items():
        if part in name:
            return Speed(flops=tflops * 1e12, bytes_per_second=gbps * 1e9, is_gpu=True)
    return None


def measure_core(hidden: int, intermediate: int, seconds: float = 0.1) -> Speed:
    """What one core of this machine does in a model's own matrix products, float32."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = max(16, min(1024, 64 * 2**20 // max(1, hidden * intermediate)))
        left, right = torch.ones(rows, hidden), torch.ones(hidden, intermediate)
        left @ right  # the first one is slower
        count, began = 0, time.process_time()
        while time.process_time() - began < seconds:
            left @ right
            count += 1
        took = time.process_time() - began
    finally:
        torch.set_num_threads(threads)
    flops = 2.0 * rows * hidden * intermediate * count / took
    return Speed(flops=flops, bytes_per_second=CPU_BYTES_PER_SECOND, is_gpu=False)
