"""What only a GPU can show of a shared one: vLLM gives its memory back, and reads weights where the trainer has them.

    pytest -m gpu tests/integration/test_shared_gpu.py

Not run yet.
"""

import asyncio

import pytest
import torch
import torch.multiprocessing as multiprocessing

from tests.builders import prompt, random_weights, save_random_tiny_model
from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.models import load_adapter
from vr1_ray.rollout import rollout_engine_class
from vr1_ray.types import SamplingSpec
from vr1_ray.weights.cuda_ipc import WeightExporter, open_block
from vr1_ray.weights.packing import pack_buckets, unpack_block

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GIB = 2**30
TOLERANCE = 1e-3  # nats, float32 weights, TF32 off


def sums_of(buckets, answers):
    """In another process: what each weight adds up to, read through its handle."""
    found = {}
    for bucket in buckets:
        block = open_block(bucket.handles, torch.device("cuda:0"))
        for name, tensor in unpack_block(block, **bucket.table):
            found[name] = tensor.double().sum().item()
    answers.put(found)


def test_another_process_reads_the_weights_where_they_lie_again_and_again():
    flat = torch.randn(1 << 20, device="cuda", dtype=torch.bfloat16)
    weights = [("a", flat[:1000]), ("b", flat[1000:].view(-1, 8)), ("c", torch.ones(7).cuda())]
    exporter, spawn = WeightExporter(), multiprocessing.get_context("spawn")
    for _ in range(3):  # as many syncs, with other weights at the same place
        flat.normal_()
        answers = spawn.Queue()
        reader = spawn.Process(target=sums_of, args=(exporter.export(weights), answers))
        reader.start()
        found = answers.get(timeout=120)
        reader.join(60)
        for name, wanted in weights:
            assert found[name] == pytest.approx(wanted.double().sum().item())


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def engines(tmp_path_factory, loop):
    """vLLM, which can sleep, and transformers, on the same GPU and model."""
    folder = save_random_tiny_model(tmp_path_factory.mktemp("tiny"))
    model = ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176, max_model_len=256)
    rollout = RolloutConfig(gpu_memory_utilization=0.3)
    made = {}
    for name in ("hf", "vllm"):
        made[name] = rollout_engine_class(name)(
            model=model, rollout=rollout, adapter=load_adapter(model), can_sleep=True
        )
        loop.run_until_complete(made[name].start())
    yield made
    loop.run_until_complete(made["vllm"].close())


def greedy(engine, loop):
    row, spec = prompt(1), SamplingSpec(max_response_tokens=16, group_size=1, temperature=0.0)
    rendered, images = engine.adapter.render(row), engine.adapter.open_images(row.images)
    [sample] = loop.run_until_complete(engine.generate(row.prompt_id, rendered, images, spec, [1]))
    return sample


def buckets_of(model, transport):
    """The weights as the object store, or as the GPU's own memory, would bring them."""
    if transport == "ipc":
        return WeightExporter().export(
            (name, weight.detach()) for name, weight in model.named_parameters()
        )
    return pack_buckets(model.state_dict().items(), max_bytes=1 << 20)


@pytest.mark.parametrize(("version", "transport"), [(1, "object_store"), (2, "ipc")])
def test_asleep_vllm_gives_its_memory_back_and_loading_wakes_it(engines, loop, version, transport):
    vllm, hf = engines["vllm"], engines["hf"]
    awake = torch.cuda.mem_get_info()[0]
    loop.run_until_complete(vllm.sleep())
    asleep = torch.cuda.mem_get_info()[0]
    total = torch.cuda.mem_get_info()[1]
    assert asleep - awake > 0.3 * total - 6 * GIB  # all it had but graphs and CUDA's own
    assert vllm.policy_version is None

    hf._model = random_weights(hf._model.to("cpu"), seed=version).to("cuda")
    loop.run_until_complete(vllm.load_weights(version, buckets_of(hf._model, transport)))
    assert vllm.policy_version == version
    found, wanted = greedy(vllm, loop), greedy(hf, loop)
    assert found.response_ids == wanted.response_ids
    difference = max(abs(a - b) for a, b in zip(found.logprobs, wanted.logprobs, strict=True))
    assert difference < TOLERANCE
