"""Rank 0 of a broadcast in a thread of the test, for an engine of the same process to receive from."""

import threading
from contextlib import contextmanager

import torch

from vr1_ray.training.distributed import LOOPBACK, listen
from vr1_ray.weights.broadcast import BroadcastBucket, BroadcastGroup, BroadcastMember


@contextmanager
def broadcasting(packed, *, epoch, stop_after=None):
    """Send packed buckets in a group of two, and give what the engine is told of them; leave after so many blocks."""
    listener = listen(LOOPBACK)
    address, port = listener.getsockname()
    group = BroadcastGroup(
        epoch=epoch,
        backend="gloo",
        address=address,
        port=port,
        world_size=2,
        timeout_seconds=20.0,
        first_rank=1,
    )
    done = threading.Event()

    def send():
        member = BroadcastMember()
        member.join(group, 0, listener)
        for bucket in packed[:stop_after]:
            member.broadcast(torch.from_numpy(bucket.data))
        if stop_after is None:
            done.wait(60)
        member.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield [
            BroadcastBucket(**bucket.table, num_bytes=bucket.data.size, group=group)
            for bucket in packed
        ]
    finally:
        done.set()
        sending.join(60)
