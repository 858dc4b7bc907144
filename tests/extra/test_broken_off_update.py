"""A broadcast to one vLLM engine, whole and broken off, without Ray: this process is rank 0, and transformers the measure."""

import asyncio
import threading

import pytest
import torch

from tests.builders import prompt, save_random_tiny_model
from tests.integration.conftest import start_pair
from vr1_ray.rollout.broadcast import (
    BroadcastBucket,
    BroadcastGroup,
    BroadcastLostError,
    BroadcastMember,
)
from vr1_ray.rollout.packing import pack_buckets
from vr1_ray.training.distributed import LOOPBACK, listen

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def pair(request, tmp_path_factory):
    loop = asyncio.new_event_loop()
    folder = save_random_tiny_model(tmp_path_factory.mktemp("tiny"), tied=request.param)
    pair = start_pair(folder, loop)
    yield pair
    pair.run(pair.vllm.close())
    loop.close()


def broadcast(pair, version, *, epoch, stop_after=None):
    """Load transformers' weights by a broadcast; rank 0 leaves after so many blocks."""
    packed = list(pack_buckets(pair.model.state_dict().items(), max_bytes=1 << 18))
    assert len(packed) > 10
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

    def send():
        member = BroadcastMember()
        member.join(group, 0, listener)
        for bucket in packed[:stop_after]:
            member.broadcast(torch.from_numpy(bucket.data))
        if stop_after is None:
            done.wait(60)
        member.close()

    done, sending = threading.Event(), threading.Thread(target=send)
    sending.start()
    buckets = [
        BroadcastBucket(**bucket.table, num_bytes=bucket.data.size, group=group)
        for bucket in packed
    ]
    try:
        pair.run(pair.vllm.load_weights(version, buckets))
    finally:
        done.set()
        sending.join(60)


def assert_agrees(pair):
    for row in (prompt(1), prompt(3, num_images=0)):
        samples = pair.run(pair.generate(row, range(4)))
        assert pair.largest_difference(row, samples) <= 1e-5


def test_a_broadcast_brings_vllm_the_weights_of_transformers(pair):
    pair.randomize(41)
    broadcast(pair, 1, epoch=1)
    assert pair.vllm.policy_version == 1
    assert_agrees(pair)


@pytest.mark.parametrize(("version", "stop_after"), [(2, 1), (4, 5), (6, 10)])
def test_an_update_that_was_broken_off_is_begun_again_from_the_first_bucket(
    pair, version, stop_after
):
    """vLLM keeps count of what each layer got: what came before the loss must not count."""
    pair.randomize(version)
    with pytest.raises(BroadcastLostError):
        broadcast(pair, version, epoch=10 * version, stop_after=stop_after)
    assert pair.vllm.policy_version is None
    pair.run(pair.vllm.check_health())
    with pytest.raises(BroadcastLostError):  # and once more
        broadcast(pair, version, epoch=10 * version + 1, stop_after=stop_after + 1)
    pair.sync(version)
    assert pair.vllm.policy_version == version
    assert_agrees(pair)
    pair.randomize(version + 1)
    broadcast(pair, version + 1, epoch=10 * version + 2)
    assert_agrees(pair)
