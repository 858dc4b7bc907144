"""The driver's own objects in a real object store that is full, on a disk that is full."""

import threading
import time

import numpy as np
import pytest
import ray

from vr1_ray.actors.waiting import ActorError, put

pytestmark = pytest.mark.ray
MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def small_ray():
    """A store of 80 MiB that may not spill: its disk counts as full from the first byte."""
    ray.init(
        address="local",
        num_cpus=1,
        object_store_memory=80 * MIB,
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"local_fs_capacity_threshold": 0.0001, "local_fs_monitor_interval_ms": 100},
    )
    yield
    ray.shutdown()


def test_a_full_store_is_waited_for_until_other_objects_are_gone():
    held = [put(np.zeros(50 * MIB, np.uint8), what="group 0")]
    threading.Timer(1.0, held.clear).start()
    began = time.monotonic()
    ref = put(np.ones(50 * MIB, np.uint8), what="group 1", seconds=60.0)
    assert time.monotonic() - began > 0.5
    assert ray.get(ref, timeout=30)[0] == 1


def test_a_store_that_stays_full_ends_in_an_error_that_says_what_was_to_be_stored_and_the_cure():
    with pytest.raises(ActorError) as error:
        put(np.zeros(200 * MIB, np.uint8), what="prompt p7", seconds=1.0)
    first = str(error.value).splitlines()[0]
    assert first.startswith("no room for prompt p7 in the object store of ")
    assert "--object-store-memory" in first
