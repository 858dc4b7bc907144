"""How a bucket of weights gets from vLLM's client to its workers (`vllm_worker.py` is their end).

The client is in the actor's process, the workers in others of the same node. Imports no vllm at its top.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vr1_ray.rollout.base import Bucket, EngineDiedError
from vr1_ray.weights.broadcast import BroadcastBucket, BroadcastLostError
from vr1_ray.weights.cuda_ipc import SharedBucket
from vr1_ray.weights.packing import PackedBucket, crc32


async def load_bucket(engine: Any, bucket: Bucket, crc: int | None) -> int:
    """Have the workers of `engine` (an AsyncLLM in the middle of a weight update) load one bucket.

    Returns the checksum of its bytes going on from `crc`; 0 if that is None, or if no bytes come that could be damaged.
    Raises BroadcastLostError, after which another update may begin.
    """
    found = 0
    if isinstance(bucket, PackedBucket):
        found = 0 if crc is None else crc32(bucket.data, crc)
        await _through_file(engine, bucket)
    elif isinstance(bucket, BroadcastBucket):
        found = await _receive(engine, bucket, crc)
        await _update(engine, {"is_received": True, **bucket.table})
    else:
        assert isinstance(bucket, SharedBucket)
        await _update(engine, {"handles": bucket.handles, **bucket.table})
    return found


async def _through_file(engine: Any, bucket: PackedBucket) -> None:
    with shared_file(bucket.data.data) as path:
        await _update(engine, {"path": path, **bucket.table})


@contextmanager
def shared_file(data: memoryview) -> Iterator[str]:
    """A file of shared memory with these bytes, for other processes of this user and machine to open.

    It has no name of its own, so nothing is left of it when this process is killed: 512 MB to 2.5 GB each time. Maps of
    it live on as long as they are needed.
    """
    descriptor = os.memfd_create("vr1-weights")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{descriptor}"


async def _receive(engine: Any, bucket: BroadcastBucket, crc: int | None) -> int:
    """Have every worker receive the block. Apart from vLLM's own update, which fails for good when it raises."""
    arguments = (dataclasses.asdict(bucket.group), bucket.num_bytes, crc)
    answers = await engine.collective_rpc("receive_broadcast", args=arguments)
    for answer in answers:
        if isinstance(answer, str):
            raise BroadcastLostError(answer)
    if len(set(answers)) > 1:
        raise EngineDiedError("the engine's workers received different bytes")
    return answers[0]


async def _update(engine: Any, info: dict[str, Any]) -> None:
    from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

    await engine.update_weights(WeightTransferUpdateRequest(update_info=info))
