"""What of CUDA IPC needs no GPU: the tables of weights as they lie in memory, and the way of a handle."""

import pytest
import torch

from vr1_ray.weights.cuda_ipc import (
    SharedBucket,
    arguments_of,
    by_storage,
    handle_of,
    merge_buckets,
    shared_bucket,
)
from vr1_ray.weights.packing import unpack_block


def flat_weights():
    """Two weights as views of one flat tensor, as DeepSpeed keeps them, and a frozen one by itself."""
    flat = torch.arange(12, dtype=torch.bfloat16)
    frozen = torch.arange(3, dtype=torch.float32)
    return [("a", flat[:8].view(2, 4)), ("frozen", frozen), ("b", flat[8:])]


def as_bytes(tensor):
    """The whole block that a tensor lies in, as the engine's side opens it."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def test_weights_of_one_block_come_together():
    names = [[name for name, _ in members] for members in by_storage(flat_weights())]
    assert names == [["a", "b"], ["frozen"]]


def test_a_table_leads_back_to_the_weights_as_they_lie():
    for members in by_storage(flat_weights()):
        bucket = shared_bucket(members, {"GPU-1": []})
        found = unpack_block(as_bytes(members[0][1]), **bucket.table)
        for (name, wanted), (found_name, tensor) in zip(members, found, strict=True):
            assert name == found_name
            assert tensor.dtype == wanted.dtype
            assert torch.equal(tensor, wanted)
            assert tensor.data_ptr() == wanted.data_ptr()  # nothing was copied


def test_a_weight_with_gaps_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^w: .*not contiguous"):
        shared_bucket([("w", torch.zeros(4, 4)[:, :2])], {})


def bucket(uuid, names=("w",)):
    count = len(names)
    return SharedBucket(
        names=list(names),
        dtypes=["float32"] * count,
        shapes=[[1]] * count,
        offsets=[4 * place for place in range(count)],
        handles={uuid: [uuid.encode()]},
    )


def test_an_engine_of_two_gpus_gets_the_handles_of_both():
    [merged] = merge_buckets([[bucket("GPU-0")], [bucket("GPU-1")]])
    assert merged.handles == {"GPU-0": [b"GPU-0"], "GPU-1": [b"GPU-1"]}
    assert merged.table == bucket("GPU-0").table


def test_ranks_whose_weights_do_not_lie_alike_are_refused():
    with pytest.raises(ValueError, match="block 0"):
        merge_buckets([[bucket("GPU-0")], [bucket("GPU-1", names=("v",))]])


def test_a_handle_comes_back_as_torchs_arguments_with_the_importers_own_device():
    size, events = 64, [b"counter", 3, b"event", True]
    exported = [
        torch.Tensor, torch.Size((size,)), (1,), 0, torch.storage.TypedStorage, torch.uint8,
        5, b"memory", size, 1024, False, *events,
    ]  # fmt: skip
    handle = handle_of(exported)
    assert handle == [b"memory", size, 1024, *events]
    assert arguments_of(handle, 0) == [*exported[:6], 0, *exported[7:]]


def test_the_arguments_are_those_of_the_torch_that_is_installed():
    import inspect

    from torch.multiprocessing.reductions import rebuild_cuda_tensor

    names = list(inspect.signature(rebuild_cuda_tensor).parameters)
    assert handle_of(names) == [
        "storage_handle",
        "storage_size_bytes",
        "storage_offset_bytes",
        "ref_counter_handle",
        "ref_counter_offset",
        "event_handle",
        "event_sync_required",
    ]
    assert names[6] == "storage_device"
    assert names[10] == "requires_grad"
