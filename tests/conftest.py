"""What tests of every folder share: one local Ray for the session, and a look at what a file leaves behind."""

import sys

import pytest

# Its process group is for the whole file, and the only one of its pytest command.
JOINS_A_GROUP = "tests/as_on_gpu/test_training.py"


@pytest.fixture(scope="module")
def local_ray():
    """A Ray cluster of this machine, of a fixed size, so that tests mean the same everywhere."""
    import ray

    ray.init(address="local", num_cpus=4, num_gpus=0, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module", autouse=True)
def _no_process_group_is_left(request):
    """A second group in a process fails inside DeepSpeed, in whichever file comes later: tests/processes.py."""
    yield
    comm = sys.modules.get("deepspeed.comm.comm")
    if comm is not None and comm.cdb is not None:
        assert request.node.nodeid == JOINS_A_GROUP, "joined a process group: use tests/processes"
