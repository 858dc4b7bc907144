"""Each family in real DeepSpeed: ZeRO-3 on two ranks, one of them without a picture, makes the update of one plain rank.

A resume is exact to the bit, and what is saved loads in plain transformers with its processor.
"""

import random
from pathlib import Path

import pytest
import torch

from tests.builders import prompt
from tests.families import FAMILIES, family_config, save_family, sees_pictures
from tests.processes import in_processes
from tests.unit.training.sample_rows import trainer_config
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig, OptimizerConfig
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.types import TrainRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TRAINED = [name for name in FAMILIES if name != "qwen2_5_vl"]  # that: test_trainer_ranks.py


def start(rank, world_size, folder, model_type, stage):
    return PolicyTrainer(
        model=family_config(folder, model_type),
        trainer=trainer_config(
            zero_stage=stage,
            gradient_checkpointing=stage == 3,
            optimizer=OptimizerConfig(lr=1e-3, eps=1.0),
        ),
        algorithm=make_algorithm(AlgorithmConfig(kl_coef=0.0)),
        seed=0,
        total_updates=10,
        rank=rank,
        world_size=world_size,
        deterministic=True,
    )


def rows_of(adapter, numbers):
    """Two rows to each prompt, which shows as many pictures as `numbers` say."""
    rng, rows, images = random.Random(0), [], {}
    for seed, number in enumerate(numbers, start=1):
        asked = prompt(seed, num_images=number, size=(84, 56))
        images |= {image.content_hash: image for image in asked.images}
        for index, length in enumerate((5, 30)):
            rows.append(
                TrainRow(
                    row_id=f"{seed}/{index}",
                    prompt_ids=adapter.render(asked).prompt_ids,
                    response_ids=tuple(rng.randrange(20, 500) for _ in range(length)),
                    image_hashes=tuple(image.content_hash for image in asked.images),
                    advantage=rng.gauss(0, 1),
                    rollout_logprobs=tuple(rng.gauss(-4, 1) for _ in range(length)),
                )
            )
    return rows, images


def weights_of(trainer):
    return {name: weight.clone() for name, weight in trainer.named_weights()}


def train(rank, world_size, folder):
    """By family: the weights after an update, after two, and after a resume and the second; all saved."""
    found = {}
    for model_type in TRAINED:
        base, kept = Path(folder) / model_type, Path(folder) / f"{model_type}_{world_size}"
        stage = 3 if world_size == 2 else 0
        trainer = start(rank, world_size, base, model_type, stage)
        rows, images = rows_of(trainer.adapter, (2, 1, 0) if sees_pictures(model_type) else (0, 0))
        own = rows if world_size == 1 else rows[:-2] if rank == 0 else rows[-2:]
        trainer.train_step([own], images)
        first = weights_of(trainer)
        trainer.save_checkpoint(kept / "trainer")
        trainer.train_step([own], images)
        second = weights_of(trainer)
        trainer.save_policy(kept / "policy")
        again = start(rank, world_size, base, model_type, stage)
        again.load_checkpoint(kept / "trainer")
        again.train_step([own], images)
        found[model_type] = first, second, weights_of(again)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for model_type in TRAINED:
        save_family(folder / model_type, model_type, tied=model_type in ("qwen3_vl", "qwen3"))
    [alone] = in_processes(train, 1, folder)
    return folder, alone, in_processes(train, 2, folder)[0]


@pytest.mark.parametrize("model_type", TRAINED)
def test_two_sharded_ranks_make_the_update_of_one(trained, model_type):
    folder, alone, sharded = trained
    before = _saved(folder / model_type, model_type).state_dict()
    moved = 0.0
    for name, weight in alone[model_type][0].items():
        assert torch.allclose(weight, sharded[model_type][0][name], rtol=0, atol=2e-7), name
        moved = max(moved, float((weight - before[name]).abs().max()))
    assert moved > 1e-5


@pytest.mark.parametrize("model_type", TRAINED)
def test_a_resume_is_exact_to_the_bit(trained, model_type):
    for found in trained[1:]:
        _, second, resumed = found[model_type]
        assert second.keys() == resumed.keys()
        assert all(torch.equal(weight, resumed[name]) for name, weight in second.items())


@pytest.mark.parametrize("model_type", TRAINED)
def test_what_is_saved_loads_in_plain_transformers_with_its_processor(trained, model_type):
    from transformers import AutoProcessor

    folder, _, sharded = trained
    saved = folder / f"{model_type}_2" / "policy"
    state = _saved(saved, model_type).state_dict()
    for name, weight in sharded[model_type][1].items():
        assert torch.equal(weight, state[name]), name
    assert AutoProcessor.from_pretrained(saved).chat_template


def _saved(folder, model_type):
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    is_text = not sees_pictures(model_type)
    kind = AutoModelForCausalLM if is_text else AutoModelForImageTextToText
    return kind.from_pretrained(folder)
