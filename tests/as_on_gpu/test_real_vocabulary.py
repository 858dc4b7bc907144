"""The real vocabulary, a 1-megapixel picture and a response of 8K tokens: one update within the plan's memory.

A random model of 0.1 B parameters, most of them in embeddings and head as in no real one, so that what a vocabulary of
152,064 rows costs is what is measured. float32: a CPU has no kernels for bfloat16 that are fast enough.
"""

import random
from pathlib import Path

import pytest
import torch

from tests.builders import PROCESSOR_FILES, TINY_MODEL, picture
from tests.processes import in_processes
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig, ModelConfig, RunConfig, StageConfig, TrainerConfig
from vr1_ray.models import load_adapter
from vr1_ray.preflight.memory import trainer_memory
from vr1_ray.preflight.model_size import read_model_size
from vr1_ray.preflight.trainer_plan import trainer_shape
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.types import Prompt, TrainRow

VOCABULARY = 152_064  # Qwen2.5-VL-7B-Instruct, config.json, vocab_size
RESPONSE = 8_192
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def save_model(folder):
    """vr1-tiny's tokenizer (537 ids) and processor around a random model with the real vocabulary."""
    import shutil

    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    for name in PROCESSOR_FILES:
        shutil.copy(TINY_MODEL / name, folder / name)
    config = AutoConfig.from_pretrained(TINY_MODEL)
    text = config.text_config
    text.vocab_size, text.hidden_size, text.intermediate_size = VOCABULARY, 320, 2048
    text.num_attention_heads, text.num_key_value_heads, text.num_hidden_layers = 5, 1, 2
    text.layer_types = ["full_attention"] * text.num_hidden_layers
    text.max_position_embeddings = 16_384
    config.vision_config.out_hidden_size = text.hidden_size
    torch.manual_seed(0)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)


def run_config(folder):
    config = RunConfig(kind="rl", name="plan")
    config.model = ModelConfig(path=str(folder), max_model_len=10_240, max_pixels=1_003_520)
    config.data.max_prompt_tokens = 2_048
    config.curriculum.stages = [StageConfig(max_response_tokens=RESPONSE, group_size=1, steps=1)]
    config.trainer = TrainerConfig(
        num_threads=2, zero_stage=2, logprob_chunk_tokens=512, gradient_checkpointing=True
    )
    return config


def status_bytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(name)]
    return int(line.split()[1]) * 1024


def learn(rank, world_size, folder):
    """One update; the most memory that the process had beyond what it began with."""
    config = run_config(Path(folder) / "model")
    adapter = load_adapter(config.model)
    shown = picture(size=(1_000, 1_000))
    prompt = Prompt(prompt_id="big", question="<image>How many?", images=(shown,))
    rng = random.Random(0)
    row = TrainRow(
        row_id="big/0",
        prompt_ids=adapter.render(prompt).prompt_ids,
        response_ids=tuple(rng.randrange(20, 500) for _ in range(RESPONSE)),
        image_hashes=(shown.content_hash,),
        advantage=1.0,
        rollout_logprobs=(-6.0,) * RESPONSE,
        ref_logprobs=(-6.0,) * RESPONSE,
    )
    began = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    trainer = PolicyTrainer(
        model=config.model,
        trainer=config.trainer,
        algorithm=make_algorithm(AlgorithmConfig()),
        seed=0,
        total_updates=1,
        rank=0,
        world_size=1,
    )
    metrics = trainer.train_step([[row]], {shown.content_hash: shown})
    return {
        "peak": status_bytes("VmHWM") - began,
        "metrics": metrics,
        "image_tokens": row.prompt_ids.count(adapter.image_id),
        "banned": len(adapter.banned_ids),
        "tokens": len(adapter.tokenizer),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("big")
    (folder / "model").mkdir()
    save_model(folder / "model")
    [one] = in_processes(learn, 1, folder)
    size = read_model_size(str(folder / "model"))
    return one, size, trainer_memory(size, trainer_shape(run_config(folder / "model"), size))


def test_an_update_with_the_real_vocabulary_stays_within_the_plan(found):
    one, size, plan = found
    assert 1e8 < size.num_parameters < 3e8
    assert one["peak"] < plan.device, f"{one['peak'] / 2**30:.2f} of {plan.device / 2**30:.2f} GiB"
    assert one["peak"] > plan.device / 3, "a plan this far off would turn away what fits"
    # All logits at once would take more than all that was used.
    assert 2 * one["peak"] < 3 * 4 * RESPONSE * VOCABULARY


def test_ids_above_the_tokenizers_are_banned_and_the_picture_is_a_megapixel(found):
    one, _, _ = found
    assert one["image_tokens"] > 1_200  # of 28 x 28 pixels each
    assert one["banned"] >= VOCABULARY - one["tokens"]
    # A random policy is near uniform over what may be sampled: log(537) = 6.3, not log(152064) = 11.9.
    assert 4.0 < one["metrics"]["entropy"] < 6.3
    assert one["metrics"]["updates/skipped"] == 0
