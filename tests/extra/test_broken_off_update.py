"""A broadcast to one vLLM engine, whole and broken off, without Ray: this process is rank 0, and transformers the measure."""

import asyncio

import pytest

from tests.builders import prompt, save_random_tiny_model
from tests.integration.conftest import start_pair
from tests.sender import broadcasting
from vr1_ray.weights.broadcast import BroadcastLostError
from vr1_ray.weights.packing import pack_buckets

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
    """Load transformers' weights by a broadcast that ends after so many blocks."""
    packed = list(pack_buckets(pair.model.state_dict().items(), max_bytes=1 << 18))
    assert len(packed) > 10
    with broadcasting(packed, epoch=epoch, stop_after=stop_after) as buckets:
        pair.run(pair.vllm.load_weights(version, buckets))


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
