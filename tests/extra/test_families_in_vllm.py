"""Each family in a real vLLM engine on CPU: the numbers of transformers, before and after weights changed under it.

An engine a family, most of half a minute each. Qwen2.5-VL is in tests/integration/test_vllm_engine.py.
"""

import asyncio

import pytest
import torch

from tests.builders import prompt
from tests.families import FAMILIES, family_config, save_family, sees_pictures
from tests.integration.conftest import start_pair
from vr1_ray.weights.packing import pack_buckets

pytestmark = pytest.mark.vllm
TIED = ("qwen3_vl", "qwen3")  # the small ones are published so


@pytest.mark.timeout(900)
@pytest.mark.parametrize("model_type", [name for name in FAMILIES if name != "qwen2_5_vl"])
def test_vllm_agrees_with_transformers_as_started_and_after_syncs(model_type, tmp_path):
    folder = save_family(tmp_path, model_type, tied=model_type in TIED)
    loop = asyncio.new_event_loop()
    pair = start_pair(folder, loop, model=family_config(folder, model_type))
    numbers = (1, 0, 2, 4) if sees_pictures(model_type) else (0, 0)
    rows = [
        prompt(seed, num_images=number, size=(84, 56)) for seed, number in enumerate(numbers, 1)
    ]
    try:
        for version in (0, 1, 2):
            if version:
                pair.randomize(40 + version)
                named = pair.model.named_parameters()  # a tied head once, as the trainer sends it
                pair.run(pair.vllm.load_weights(version, pack_buckets(named, max_bytes=1 << 18)))
            for row in rows:
                samples = pair.run(pair.generate(row, range(3)))
                assert pair.largest_difference(row, samples) <= 2e-5
                spans = {span.policy_version for one in samples for span in one.version_spans}
                assert spans == {version}
    finally:
        pair.run(pair.vllm.close())
        loop.close()


def test_what_qwen3_vl_adds_to_its_layers_is_zero_again_after_an_update():
    """Sleep drops it with the weights, and a prompt without pictures gets it as it is."""
    from vllm.model_executor.models.qwen3_vl import Qwen3VLForConditionalGeneration

    from vr1_ray.rollout.vllm_worker import clear_deepstack

    model = object.__new__(Qwen3VLForConditionalGeneration)
    torch.nn.Module.__init__(model)
    model.deepstack_num_level = 2
    model.deepstack_input_embeds = [torch.full((4, 3), torch.nan) for _ in range(2)]
    clear_deepstack(model)
    for added in model._get_deepstack_input_embeds(4).tensors.values():
        assert not added.any()
