"""Which words of CUDA, its driver and NCCL mean a GPU that failed, and which would come again."""

import pytest

from vr1_ray.actors.losses import device_fault


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: uncorrectable NVLink error detected during the execution",
        "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.",
        "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`",
    ],
)
def test_a_gpu_that_failed_is_told_from_its_words(text):
    assert device_fault(RuntimeError(text))


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: device-side assert triggered",
        "index 7 is out of bounds for dimension 0 with size 5",
        "the prompt has the word Xidol",
        "expected all tensors to be on the same device",
    ],
)
def test_what_would_come_again_is_no_fault_of_the_gpu(text):
    assert device_fault(RuntimeError(text)) == ""


def test_what_a_process_says_of_another_ones_gpu_is_no_fault_of_its_own():
    class PeerLostError(RuntimeError):
        pass

    assert device_fault(PeerLostError("rank 1: unhandled cuda error")) == ""
