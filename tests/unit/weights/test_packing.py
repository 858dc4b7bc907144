"""Weights survive packing, whatever their dtype and shape."""

import numpy as np
import pytest
import torch

from vr1_ray.weights.packing import (
    ALIGNMENT,
    in_buckets,
    lay_out,
    pack_bucket,
    pack_buckets,
    unpack_bucket,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64])
def test_tensors_come_back_as_they_were(dtype):
    tensors = [
        ("matrix", torch.arange(35).reshape(5, 7).to(dtype)),
        ("transposed", torch.arange(6).reshape(2, 3).t().to(dtype)),
        ("scalar", torch.tensor(3).to(dtype)),
        ("empty", torch.zeros(0, 4, dtype=dtype)),
    ]
    bucket = pack_bucket(tensors)
    assert bucket.data.dtype == np.uint8
    assert all(offset % ALIGNMENT == 0 for offset in bucket.offsets)
    for (name, wanted), (found_name, found) in zip(tensors, unpack_bucket(bucket), strict=True):
        assert found_name == name
        assert found.dtype == dtype
        assert torch.equal(found, wanted)


def test_numpy_and_parameters_and_mixed_dtypes_pack():
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    bucket = pack_bucket([("a", np.arange(4, dtype=np.float32)), ("b", parameter)])
    assert bucket.dtypes == ["float32", "bfloat16"]
    (_, a), (_, b) = unpack_bucket(bucket)
    assert a.tolist() == [0, 1, 2, 3]
    assert b.tolist() == [1, 1, 1]


@pytest.mark.filterwarnings("error")
def test_a_read_only_block_unpacks_without_a_warning():
    bucket = pack_bucket([("a", torch.ones(3))])
    bucket.data.flags.writeable = False
    assert unpack_bucket(bucket)[0][1].tolist() == [1, 1, 1]


def test_buckets_hold_at_most_the_limit_and_a_larger_tensor_stands_alone():
    tensors = [(str(i), torch.zeros(n)) for i, n in enumerate([10, 10, 10, 100, 5])]
    buckets = list(pack_buckets(tensors, max_bytes=80))
    assert [bucket.names for bucket in buckets] == [["0", "1"], ["2"], ["3"], ["4"]]
    assert list(pack_buckets([], max_bytes=80)) == []


def test_tensors_without_memory_are_laid_out_as_those_with_it_are_packed():
    tensors = [(str(i), torch.zeros(n, 3, dtype=torch.bfloat16)) for i, n in enumerate([9, 0, 70])]
    shapes = [(name, tensor.to("meta")) for name, tensor in tensors]
    packed = list(pack_buckets(tensors, max_bytes=80))
    laid_out = [lay_out(members) for members in in_buckets(shapes, max_bytes=80)]
    assert [table.table for table, _ in laid_out] == [bucket.table for bucket in packed]
    assert [size for _, size in laid_out] == [bucket.data.size for bucket in packed]
