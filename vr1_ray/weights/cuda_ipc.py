"""Weights as an engine reads them out of the trainer's own GPU memory: CUDA IPC handles, and no copy in between.

A trainer rank below ZeRO-3 holds the whole policy on its GPU. What is sent of it is small: for each block of
memory a handle that another process on the same GPU opens, and the table of the weights in it, as a packed
bucket has. The weights stay the trainer's: an engine copies them before the trainer's next update.

All that is CUDA's is in `WeightExporter` and `open_block`, which were not run yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vr1_ray.weights.packing import TensorTable

Handle = list[
    Any
]  # what CUDA needs to open a block: bytes, numbers and a bool, so any wire carries it


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedBucket(TensorTable):
    """Weights in one block of GPU memory: its table, and for each GPU that has such a block its handle.

    With tensor parallelism an engine has several GPUs, and each worker opens the block of its own.

    Example:
        [bucket] = WeightExporter().export([("lm_head.weight", weight)])
        block = open_block(bucket.handles, torch.device("cuda:0"))   # in another process
    """

    handles: dict[str, Handle]  # by the GPU's UUID


def by_storage(
    named_tensors: Iterable[tuple[str, torch.Tensor]],
) -> list[list[tuple[str, torch.Tensor]]]:
    """The tensors of each block of memory together, blocks and tensors in the order they come.

    DeepSpeed keeps all weights it trains as views of one flat tensor, frozen ones each by itself.
    """
    blocks: dict[int, list[tuple[str, torch.Tensor]]] = {}
    for name, tensor in named_tensors:
        blocks.setdefault(tensor.untyped_storage().data_ptr(), []).append((name, tensor))
    return list(blocks.values())


def shared_bucket(
    members: Sequence[tuple[str, torch.Tensor]], handles: dict[str, Handle]
) -> SharedBucket:
    """The table of tensors that lie in one block, with its handles. Raises ValueError for one with gaps."""
    for name, tensor in members:
        if not tensor.is_contiguous():
            raise ValueError(f"{name}: a weight that is not contiguous can't be read as it lies")
    return SharedBucket(
        names=[name for name, _ in members],
        dtypes=[str(tensor.dtype).removeprefix("torch.") for _, tensor in members],
        shapes=[list(tensor.shape) for _, tensor in members],
        offsets=[int(tensor.storage_offset()) * tensor.element_size() for _, tensor in members],
        handles=handles,
    )


def merge_buckets(ranks: Sequence[Sequence[SharedBucket]]) -> list[SharedBucket]:
    """The buckets of the ranks whose GPUs one engine has, as one list: equal tables, the handles of all.

    Raises ValueError if the ranks' tables differ: their weights don't lie alike.
    """
    merged = []
    for number, buckets in enumerate(zip(*ranks, strict=True)):
        first = buckets[0]
        if any(bucket.table != first.table for bucket in buckets):
            raise ValueError(
                f"block {number} holds other weights on another rank of the same engine"
            )
        handles = {uuid: handle for bucket in buckets for uuid, handle in bucket.handles.items()}
        merged.append(
            SharedBucket(
                names=first.names,
                dtypes=first.dtypes,
                shapes=first.shapes,
                offsets=first.offsets,
                handles=handles,
            )
        )
    return merged


def handle_of(arguments: Sequence[Any]) -> Handle:
    """Of what torch's `rebuild_cuda_tensor` takes, the part that only the exporting process knows."""
    return [*arguments[7:10], *arguments[11:15]]


def arguments_of(handle: Handle, device_index: int) -> list[Any]:
    """The same arguments again, for the whole block as bytes, on the importer's own device.

    The index is the importer's: each process may number the one GPU otherwise.
    """
    memory, size, offset, *events = handle
    whole = [torch.Tensor, torch.Size((size,)), (1,), 0, torch.storage.TypedStorage, torch.uint8]
    return [*whole, device_index, memory, size, offset, False, *events]


class WeightExporter:
    """The trainer's end. Each block is exported once: torch keeps books of every export as long as it lives."""

    def __init__(self) -> None:
        self._handles: dict[tuple[int, int], Handle] = {}  # by address and size

    def export(self, named_tensors: Iterable[tuple[str, torch.Tensor]]) -> list[SharedBucket]:
        """A bucket for each block of memory. All work on the tensors is done when it returns."""
        torch.cuda.synchronize()  # the engine does not wait for this process's streams
        uuid = gpu_uuid(torch.cuda.current_device())
        return [
            shared_bucket(members, {uuid: self._export(members[0][1])})
            for members in by_storage(named_tensors)
        ]

    def _export(self, tensor: torch.Tensor) -> Handle:
        from torch.multiprocessing.reductions import reduce_tensor

        storage = tensor.untyped_storage()
        key = (storage.data_ptr(), storage.nbytes())
        if key not in self._handles:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device)
            whole.set_(storage, 0, (storage.nbytes(),), (1,))
            self._handles[key] = handle_of(reduce_tensor(whole)[1])
        return self._handles[key]


def open_block(handles: dict[str, Handle], device: torch.device) -> torch.Tensor:
    """The engine's end: the block on `device`, as bytes. It is the trainer's memory: copy it, never write to it.

    Raises ValueError if no handle is of this GPU.
    """
    from torch.multiprocessing.reductions import rebuild_cuda_tensor

    index = torch.cuda.current_device() if device.index is None else device.index
    uuid = gpu_uuid(index)
    if uuid not in handles:
        raise ValueError(f"no weights lie on GPU {uuid}, but on {', '.join(sorted(handles))}")
    return rebuild_cuda_tensor(*arguments_of(handles[uuid], index))


def gpu_uuid(index: int) -> str:
    """What names a GPU in every process, whatever its number there."""
    return str(torch.cuda.get_device_properties(index).uuid)
