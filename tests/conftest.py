"""What tests of every folder share: one local Ray for the session."""

import pytest


@pytest.fixture(scope="module")
def local_ray():
    """A Ray cluster of this machine, of a fixed size, so that tests mean the same everywhere."""
    import ray

    ray.init(address="local", num_cpus=4, num_gpus=0, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
