"""A GPU that trainer, reference and engine share: reserved once, and added up by hand at each turn."""

import pytest

from tests.unit.preflight.shapes import published_size
from vr1_ray.config import load_config
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.plan import plan_rows

RECIPE = "configs/vision_r1/rl_7b_8gpu_colocated.yaml"
H100S = Machine(gpu_gib=80, num_gpus=8, host_gib=2000, free_disk_gib=8000, cpus_per_node=96)


@pytest.fixture
def rows(tmp_path):
    """The plan's rows by name, of the recipe for 8 GPUs with some settings changed."""
    size = published_size("7b", tmp_path)
    return lambda *overrides: {
        row.name: row for row in plan_rows(load_config(RECIPE, list(overrides)), H100S, size=size)
    }


def test_a_shared_gpu_is_reserved_once(rows):
    assert rows()["GPUs reserved"].value == "8"
    # 8 ranks of 8 CPUs, 8 engines of 2, 8 references of 1, 4 reward actors of 1.
    assert rows()["CPUs reserved"].value == "92"
    assert rows("cluster.placement=apart")["GPUs reserved"].value == "24"


def test_engines_awake_lie_beside_trainer_and_reference_at_rest(rows):
    # Weights 15.45 GiB and two buckets of 0.93; an eighth of the reference, 1.93, and a billion gathered
    # parameters, 1.86; 0.6 of 80 GiB.
    found = rows()
    assert found["  trainer at rest"].value == "17.3 GiB"
    assert found["  reference at rest"].value == "3.8 GiB"
    assert found["  engine awake"].value == "48.0 GiB"
    shared = found["shared GPU: engines sample"]
    assert (shared.value, shared.limit, shared.status) == ("69.1 GiB", "80.0 GiB", "ok")


def test_what_does_not_fit_beside_each_other_is_told_the_ways_out_that_are_left(rows):
    whole = rows("reference.sharded=false")  # 15.45 GiB of it on each GPU
    assert whole["  reference at rest"].value == "15.4 GiB"
    shared = whole["shared GPU: engines sample"]
    assert (shared.value, shared.status) == ("80.8 GiB", "bad")
    assert "gpu_memory_utilization" in shared.cure
    assert "reference.sharded=true" in shared.cure
    assert "offload_optimizer" not in shared.cure
    kept = rows("trainer.offload_optimizer=false")["shared GPU: engines sample"]
    # 16 bytes x 8_292_166_656 / 8 = 15.4 GiB more
    assert (kept.value, kept.status) == ("84.5 GiB", "bad")
    assert "trainer.offload_optimizer=true" in kept.cure


def test_the_trainer_at_work_lies_beside_an_engine_asleep(rows):
    # A rank of 32.0 GiB at its largest micro-batch, the reference at rest, and 3 GiB of an engine.
    assert rows()["trainer: a rank"].value == "32.0 GiB"
    assert rows()["shared GPU: trainer, reference"].value == "38.8 GiB"


def test_handles_need_no_room_in_rays_object_store(rows):
    assert "host memory: Ray's object store" not in rows()
    assert "host memory: Ray's object store" in rows("rollout.weight_transport=object_store")


def test_there_are_no_rows_of_what_a_run_has_not(rows):
    assert "  reference at rest" not in rows("algorithm.kl_coef=0")
    for without in ("trainer.num_gpus_per_worker=0", "cluster.placement=apart"):
        assert not [name for name in rows(without) if name.startswith("shared GPU")]
