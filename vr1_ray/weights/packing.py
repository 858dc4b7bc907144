"""Weights on their way from trainer to engine: many tensors in one block of bytes.

Names are those of the Hugging Face checkpoint (`model.state_dict()`). A block is a uint8 array beside a
small table, so any transport can carry it (object store, shared memory, a file, `cuda_ipc.py`, `broadcast.py`) and bfloat16, which
numpy doesn't know, travels like everything else. Knows neither vLLM nor Ray.
"""

import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

ALIGNMENT = 64  # bytes; a tensor that starts unaligned can't be viewed in its dtype


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorTable:
    """Which tensors lie in a block of bytes, and where."""

    names: list[str]
    dtypes: list[str]  # torch's names: "float32", "bfloat16"
    shapes: list[list[int]]
    offsets: list[int]  # bytes

    @property
    def table(self) -> dict[str, Any]:
        """Everything but the block itself."""
        return {
            "names": self.names,
            "dtypes": self.dtypes,
            "shapes": self.shapes,
            "offsets": self.offsets,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBucket(TensorTable):
    """Tensors packed one after the other.

    Example:
        bucket = pack_bucket([("lm_head.weight", weight)])
        [(name, tensor)] = unpack_bucket(bucket)
    """

    data: np.ndarray  # [bytes] uint8


def lay_out(named_tensors: Iterable[tuple[str, torch.Tensor]]) -> tuple[TensorTable, int]:
    """Where tensors lie that are packed into one block, and its bytes. They may be without memory (device "meta")."""
    tensors = list(named_tensors)
    offsets, end = [], 0
    for _, tensor in tensors:
        offsets.append(end)
        end += -(-tensor.numel() * tensor.element_size() // ALIGNMENT) * ALIGNMENT
    table = TensorTable(
        names=[name for name, _ in tensors],
        dtypes=[str(tensor.dtype).removeprefix("torch.") for _, tensor in tensors],
        shapes=[list(tensor.shape) for _, tensor in tensors],
        offsets=offsets,
    )
    return table, end


def pack_block(
    named_tensors: Iterable[tuple[str, torch.Tensor]], device: torch.device | str = "cpu"
) -> tuple[TensorTable, torch.Tensor]:
    """Copy tensors, from any device, into one block of bytes; returns its table too."""
    tensors = list(named_tensors)
    table, size = lay_out(tensors)
    block = torch.empty(size, dtype=torch.uint8, device=device)
    for (_, tensor), offset in zip(tensors, table.offsets, strict=True):
        end = offset + tensor.numel() * tensor.element_size()
        block[offset:end].copy_(tensor.contiguous().reshape(-1).view(torch.uint8))
    return table, block


def pack_bucket(named_tensors: Iterable[tuple[str, torch.Tensor | np.ndarray]]) -> PackedBucket:
    """Copy tensors, from any device, into one bucket."""
    table, block = pack_block((name, _as_tensor(value)) for name, value in named_tensors)
    return PackedBucket(**table.table, data=block.numpy())


def in_buckets(
    named_tensors: Iterable[tuple[str, torch.Tensor]], *, max_bytes: int
) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """The tensors of at most `max_bytes` together (a larger one stands alone), in the given order."""
    waiting: list[tuple[str, torch.Tensor]] = []
    size = 0
    for name, tensor in named_tensors:
        added = tensor.numel() * tensor.element_size()
        if waiting and size + added > max_bytes:
            yield waiting
            waiting, size = [], 0
        waiting.append((name, tensor))
        size += added
    if waiting:
        yield waiting


def pack_buckets(
    named_tensors: Iterable[tuple[str, torch.Tensor]], *, max_bytes: int = 512 << 20
) -> Iterator[PackedBucket]:
    """Buckets of at most `max_bytes` (a larger tensor gets one of its own), in the given order."""
    return map(pack_bucket, in_buckets(named_tensors, max_bytes=max_bytes))


def unpack_bucket(bucket: PackedBucket) -> list[tuple[str, torch.Tensor]]:
    """The tensors of a bucket, as views of its bytes: copy them, never write to them."""
    return unpack_block(bucket.data, **bucket.table)


def unpack_block(
    data: np.ndarray | torch.Tensor,
    *,
    names: list[str],
    dtypes: list[str],
    shapes: list[list[int]],
    offsets: list[int],
) -> list[tuple[str, torch.Tensor]]:
    """The same from a block, in host memory or on a device, and its table."""
    with warnings.catch_warnings():  # Ray's arrays are read-only, which torch can't express
        warnings.filterwarnings("ignore", message=".*not writable.*")
        block = _as_tensor(data)
    found = []
    for name, dtype_name, shape, offset in zip(names, dtypes, shapes, offsets, strict=True):
        dtype = getattr(torch, dtype_name)
        size = torch.Size(shape).numel() * dtype.itemsize
        found.append((name, block[offset : offset + size].view(dtype).reshape(shape)))
    return found


def crc32(block: np.ndarray | torch.Tensor, start: int) -> int:
    """The checksum of a block of bytes, going on from that of the blocks before."""
    data = block if isinstance(block, np.ndarray) else block.cpu().numpy()
    return zlib.crc32(data.data, start)


def _as_tensor(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value.detach()
