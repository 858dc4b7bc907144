"""What every family of the table must keep, on random tiny weights: engine and trainer are the same model.

With vLLM instead of the transformers engine: tests/extra/test_families_in_vllm.py.
"""

import asyncio
from dataclasses import dataclass, replace
from itertools import chain

import pytest
import torch

from tests.builders import picture, prompt, random_weights
from tests.families import FAMILIES, OUTSIDE, family_config, save_family, sees_pictures
from vr1_ray.config import RolloutConfig
from vr1_ray.models import MODELS, load_adapter
from vr1_ray.preflight.model_size import read_model_size
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.training.batch import VisionInputs, collate
from vr1_ray.training.policy_model import PolicyModel
from vr1_ray.types import SamplingSpec, TrainRow
from vr1_ray.weights.packing import pack_buckets


@dataclass
class Family:
    """Engine and trainer's policy of one family, loaded from one folder."""

    model_type: str
    engine: HFEngine
    policy: PolicyModel

    @property
    def adapter(self):
        return self.policy.adapter

    def prompts(self):
        numbers = (1, 0, 2, 4, 0) if sees_pictures(self.model_type) else (0, 0)
        return [
            prompt(seed, num_images=number, size=(84, 56 + 28 * (seed % 2)))
            for seed, number in enumerate(numbers, start=1)
        ]

    def samples(self, row, seeds=(1, 2)):
        spec = SamplingSpec(max_response_tokens=8, group_size=len(seeds), temperature=0.8)
        rendered, images = self.adapter.render(row), self.adapter.open_images(row.images)
        call = self.engine.generate(row.prompt_id, rendered, images, spec, list(seeds))
        return asyncio.run(call)

    def rows(self, row, samples):
        prompt_ids = self.adapter.render(row).prompt_ids
        return [
            TrainRow(
                row_id=f"{row.prompt_id}/{index}",
                prompt_ids=prompt_ids,
                response_ids=sample.response_ids,
                image_hashes=tuple(image.content_hash for image in row.images),
                rollout_logprobs=sample.logprobs,
                temperature=0.8,
            )
            for index, sample in enumerate(samples)
        ]

    def micro_batch(self, rows, prompts):
        images = {image.content_hash: image for row in prompts for image in row.images}
        vision = VisionInputs(self.adapter, images)
        return collate(rows, vision, device=torch.device("cpu"))

    def logprobs(self, rows, prompts):
        with torch.no_grad():
            return self.policy(self.micro_batch(rows, prompts), entropy="none")[0]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    folder = save_family(tmp_path_factory.mktemp(request.param), request.param)
    model = family_config(folder, request.param)
    adapter = load_adapter(model)
    engine = HFEngine(model=model, rollout=RolloutConfig(num_threads=1), adapter=adapter)
    asyncio.run(engine.start())
    policy = PolicyModel(adapter, model, chunk_tokens=64)
    return Family(request.param, engine, policy.eval())


def given(rows):
    return torch.tensor(list(chain.from_iterable(row.rollout_logprobs for row in rows)))


def test_every_row_of_the_table_is_tested_here():
    assert set(FAMILIES) == {*MODELS, *OUTSIDE}


def test_prompt_ids_are_those_of_the_processor(family):
    for row in family.prompts():
        rendered = family.adapter.render(row)
        text = family.adapter.tokenizer.decode(rendered.engine_ids)
        images = {"images": family.adapter.open_images(row.images)} if row.images else {}
        wanted = family.adapter.processor(text=[text], return_tensors="pt", **images)
        assert rendered.prompt_ids == tuple(wanted["input_ids"][0].tolist())
        assert rendered.engine_ids.count(family.adapter.image_id) == len(row.images)


def test_engine_and_packed_trainer_agree_before_and_after_a_sync(family):
    """0, 1, 2 and 4 pictures in one packed sequence, against one response at a time with a cache."""
    prompts = family.prompts()
    for version, seed in ((0, None), (1, 31)):
        if seed is not None:
            random_weights(family.policy.model, seed=seed)
            named = list(family.policy.model.named_parameters())
            asyncio.run(family.engine.load_weights(version, pack_buckets(named, max_bytes=1 << 18)))
        rows = [line for row in prompts for line in family.rows(row, family.samples(row))]
        packed = family.logprobs(rows, prompts)
        assert (packed - given(rows)).abs().max() <= 2e-5
        alone = torch.cat([family.logprobs([line], prompts) for line in rows])
        assert (packed - alone).abs().max() <= 2e-5


def test_names_of_weights_are_the_same_on_both_sides(family):
    trained = {name for name, _ in family.policy.model.named_parameters()}
    assert trained == {name for name, _ in family.engine._model.named_parameters()}


def test_each_picture_changes_what_comes_after_it(family):
    if not sees_pictures(family.model_type):
        pytest.skip("sees no pictures")
    row = family.prompts()[3]
    [sample] = family.samples(row, [5])
    before = family.logprobs(family.rows(row, [sample]), [row])
    for place in range(len(row.images)):
        size = row.images[place].shown_size()
        images = list(row.images)
        images[place] = picture(900 + place, size)
        other = replace(row, images=tuple(images))
        after = family.logprobs(family.rows(other, [sample]), [other])
        assert (after - before).abs().max() > 1e-3, f"picture {place} is not looked at"


def test_a_family_without_eyes_refuses_a_picture(family):
    if sees_pictures(family.model_type):
        pytest.skip("sees pictures")
    with pytest.raises(ValueError, match=r"prompt p1: has a picture, but model.path=.* sees none"):
        family.adapter.render(prompt(1))


@pytest.mark.parametrize("has_pictures", [True, False])
def test_every_weight_gets_a_gradient_with_pictures_or_without(family, has_pictures):
    prompts = [row for row in family.prompts() if bool(row.images) == has_pictures]
    rows = [line for row in prompts for line in family.rows(row, family.samples(row))]
    if not rows:
        pytest.skip("sees no pictures")
    family.policy.zero_grad()
    family.policy(family.micro_batch(rows, prompts), entropy="none")[0].sum().backward()
    tower = {
        id(p)
        for part in family.adapter.vision_modules(family.policy.model)
        for p in part.parameters()
    }
    for name, weight in family.policy.model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.any()) == (has_pictures or id(weight) not in tower), name
    family.policy.zero_grad()


def test_the_size_is_that_of_the_model_and_its_parts(family):
    if family.model_type in OUTSIDE:
        pytest.skip("has no row in SIZES; `vr1 check` says so")
    size = read_model_size(family.adapter.config.path)
    model = family.policy.model
    tower, projector = (
        sum(weight.numel() for weight in part.parameters())
        for part in family.adapter.vision_modules(model)
    )
    total = sum(weight.numel() for weight in model.parameters())
    assert size.num_parameters == total
    frozen = size.num_trained(freeze_vision_tower=True, freeze_projector=False)
    assert (total - frozen, frozen - size.text.num_parameters) == (tower, projector)


def test_a_saved_policy_loads_in_plain_transformers_with_its_processor(family, tmp_path):
    from transformers import AutoProcessor

    random_weights(family.policy.model, seed=8)
    family.policy.model.save_pretrained(tmp_path)
    family.adapter.save_processor(str(tmp_path))
    processor = AutoProcessor.from_pretrained(tmp_path)
    model = type(family.adapter).auto_model.from_pretrained(tmp_path).eval()
    row = family.prompts()[-2]
    text = family.adapter.tokenizer.decode(family.adapter.render(row).engine_ids)
    images = {"images": family.adapter.open_images(row.images)} if row.images else {}
    inputs = processor(text=[text], return_tensors="pt", **images)
    with torch.no_grad():
        wanted = model(**inputs).logits[0, -1]
    wanted[list(family.adapter.banned_ids)] = -torch.inf
    first = int(wanted.argmax())
    line = TrainRow(
        row_id="x",
        prompt_ids=family.adapter.render(row).prompt_ids,
        response_ids=(first,),
        image_hashes=tuple(image.content_hash for image in row.images),
    )
    [found] = family.logprobs([line], [row])
    assert abs(float(wanted.log_softmax(-1)[first] - found)) <= 2e-5
