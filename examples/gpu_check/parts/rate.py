"""What this chip does at best: matrix products and copies, measured. The 3B's rate is told as a share of it."""

import time

import torch

from examples.gpu_check.bench import Bench

REPEATS = 20


def check(bench: Bench) -> None:
    """The row `matrix_rate`."""
    with bench.row("matrix_rate") as figures:
        dtype = getattr(torch, bench.dtype)
        figures["dtype"] = bench.dtype
        figures["tflops"] = matrix_rate(bench) / 1e12
        figures["copy_gb_per_second"] = _copy_rate(bench, dtype) / 1e9


def matrix_rate(bench: Bench) -> float:
    """Floating-point operations a second of square matrix products, in the device's dtype."""
    side = bench.pick(cpu=512, gpu=8192)
    seconds = _product_seconds(bench, side)
    if bench.is_gpu:
        torch.cuda.empty_cache()  # an engine may start next, and measure what is free
    return 2 * side**3 / seconds


def _product_seconds(bench: Bench, side: int) -> float:
    dtype = getattr(torch, bench.dtype)
    left, right = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
    return seconds_of(bench, lambda: left @ right)


def _copy_rate(bench: Bench, dtype: torch.dtype) -> float:
    """Bytes a second, read and written."""
    source = torch.zeros(bench.pick(cpu=1 << 22, gpu=1 << 29), dtype=dtype, device=bench.device)
    target = torch.empty_like(source)
    seconds = seconds_of(bench, lambda: target.copy_(source))
    return 2 * source.numel() * source.element_size() / seconds


def seconds_of(bench: Bench, work: object, repeats: int = REPEATS) -> float:
    """Seconds of one call of `work`, after some that warm it up."""
    assert callable(work)
    for _ in range(3):
        work()
    _wait(bench)
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait(bench)
    return (time.perf_counter() - began) / repeats


def _wait(bench: Bench) -> None:
    if bench.is_gpu:
        torch.cuda.synchronize()
