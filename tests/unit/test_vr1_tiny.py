"""`vr1-tiny`: the committed model loads as a Qwen2.5-VL, and sees; its scripts make what they
claim.
"""

import sys
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoProcessor, AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from vr1_ray.figure_math.dataset import TEST_BUCKETS
from vr1_ray.figure_math.drawing import draw
from vr1_ray.figure_math.questions import random_question

EXAMPLE = Path(__file__).parents[2] / "examples" / "vr1_tiny"
MODEL = EXAMPLE / "model"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The example's scripts, importable as they are when one of them is run."""
    sys.path.insert(0, str(EXAMPLE))
    yield
    sys.path.remove(str(EXAMPLE))


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def model():
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32)


def test_the_folder_is_small_and_holds_about_two_million_parameters(model):
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 8_000_000
    assert 1_500_000 < sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    text = model.config.text_config
    assert text.hidden_size // text.num_attention_heads == 64
    assert sum(text.rope_parameters["mrope_section"]) == 32
    assert model.lm_head.weight is not model.get_input_embeddings().weight


@pytest.mark.parametrize(
    "text",
    [
        "héllo ∑ 日本語 🙂",
        "tabs\tand\r\nlines",
        "<think> a </think><answer> 1234 </answer>",
        "\x00\x7f",
    ],
)
def test_the_tokenizer_gives_any_text_back(text):
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_digits_are_tokens_of_their_own_and_common_words_are_whole(processor):
    tokenizer = processor.tokenizer
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]
    assert len(tokenizer.tokenize("Top: red circle, empty, blue square.")) == 10
    assert tokenizer.eos_token == "<|im_end|>"


def test_a_prompt_is_rendered_as_qwen_does_without_a_system_message(processor):
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Why?"}]}
    text = processor.apply_chat_template([user], add_generation_prompt=True, tokenize=False)
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    assert text == f"<|im_start|>user\n{image}Why?<|im_end|>\n<|im_start|>assistant\n"
    system = {"role": "system", "content": "Be brief."}
    text = processor.apply_chat_template([system, user], tokenize=False)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_a_figure_becomes_nine_vision_tokens_unresized(processor):
    figure, question = random_question(Random(0))
    text = f"<|vision_start|><|image_pad|><|vision_end|>{question.text}"
    inputs = processor(text=[text], images=[draw(figure)], return_tensors="pt")
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 6]]
    image_id = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert (inputs["input_ids"] == image_id).sum() == 9


def test_the_quick_batches_equal_what_processor_and_model_make(model, processor):
    from batches import check_against_processor
    from train import random_example

    check_against_processor(model, processor, [random_example(Random(seed)) for seed in range(12)])


def test_padding_and_batching_do_not_change_the_loss(model, processor):
    from batches import Batcher, response_loss
    from train import random_example

    batcher, rng = Batcher(processor), Random(1)
    examples = [random_example(rng) for _ in range(6)]
    with torch.no_grad():
        together = response_loss(model, *batcher.training_batch(examples))
        alone = sum(response_loss(model, *batcher.training_batch([one])) for one in examples)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_training_never_shows_a_held_out_figure():
    from train import random_example

    rng = Random(5)
    held_out = {random_question(rng, TEST_BUCKETS)[0] for _ in range(300)}
    assert not held_out & {random_example(rng).figure for _ in range(300)}


@pytest.mark.slow
def test_an_untrained_build_is_reproducible_and_is_saved_whole(tmp_path):
    from build import build, save

    for name in ("one", "two"):
        save(*build(seed=7), tmp_path / name)
    first, second = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")
    )
    assert first == second


@pytest.mark.slow
def test_the_base_model_sees_answers_weakly_at_once_and_well_in_steps(model, processor):
    from evaluate import evaluate

    table = evaluate(model, processor, number=200, seed=77)
    assert table["read_out"]["all"] >= 0.98
    assert 0.2 < table["direct"]["all"] <= 0.7
    steps = dict(table["steps"])
    # Letters of choices were learnt last (README of the example).
    assert steps.pop("multiple_choice") >= 0.6
    assert steps.pop("all") >= 0.92
    assert min(steps.values()) >= 0.9
