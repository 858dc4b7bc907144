"""A machine with eight GPUs, as vLLM's front end sees one: its own CUDA platform and Triton, where there is neither.

What it decides before a process touches a device is so decided as on GPUs: the model runner, the executor, chunked
prefill, prefix caching, sleep mode, and all that it refuses. What it asks the device is answered below. Not covered:
compiled kernels, which attention backend it takes, memory, and whatever comes after the front end.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest


@contextmanager
def eight_gpus() -> Iterator[None]:
    """vLLM takes this process for one on a machine of eight H100."""
    from vr1_ray.rollout.vllm_environment import set_environment

    set_environment(1, None)
    # First all modules that on a GPU would ask compiled kernels, which a CPU build has not.
    import vllm.v1.engine.async_llm  # noqa: F401
    from vllm.platforms import current_platform

    import vr1_ray.rollout.vllm_worker  # noqa: F401

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vllm._C_stable_libtorch", ModuleType("kernels"))
        from vllm.platforms.cuda import NonNvmlCudaPlatform
        from vllm.platforms.interface import DeviceCapability

        class H100(NonNvmlCudaPlatform):
            """What a device would answer."""

            @classmethod
            def device_count(cls):
                return 8

            @classmethod
            def get_device_capability(cls, device_id=0):
                return DeviceCapability(9, 0)

            @classmethod
            def get_device_name(cls, device_id=0):
                return "NVIDIA H100 80GB HBM3"

            @classmethod
            def get_device_total_memory(cls, device_id=0):
                return 80 * 2**30

            def is_cumem_allocator_available(self):
                return True  # one of the compiled kernels

        # Its class, because everywhere in vLLM the object is known already.
        patch.setattr(current_platform, "__class__", H100)
        patch.setattr("vllm.config.vllm.HAS_TRITON", True)
        yield
