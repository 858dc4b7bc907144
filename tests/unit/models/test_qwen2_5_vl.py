"""The Qwen2.5-VL adapter against transformers' own processor and forward pass."""

import dataclasses
import io
from itertools import chain

import pytest
import torch
from PIL import Image

from tests.builders import picture, plain_logits, prompt, save_random_tiny_model
from vr1_ray.config import ModelConfig
from vr1_ray.models import ModelBatch, load_adapter
from vr1_ray.models.base import control_tokens
from vr1_ray.models.packed_attention import use_packed_attention
from vr1_ray.models.packing import lay_out
from vr1_ray.types import EncodedImage, Prompt


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = save_random_tiny_model(tmp_path_factory.mktemp("tiny"))
    return ModelConfig(path=str(folder), min_pixels=784, max_pixels=50176)


@pytest.fixture(scope="module")
def adapter(config):
    return load_adapter(config)


@pytest.fixture(scope="module")
def plain_model(adapter):
    return adapter.load_model(dtype=torch.float32, attention="sdpa").eval()


@pytest.fixture(scope="module")
def model(adapter):
    model = adapter.load_model(dtype=torch.float32, attention="sdpa").eval()
    use_packed_attention(adapter.language_model(model), "sdpa")
    return model


def processor_inputs(adapter, row):
    """What transformers' processor makes of the same prompt."""
    text = adapter.tokenizer.decode(adapter.render(row).engine_ids)
    images = adapter.open_images(row.images) or None
    return adapter.processor(text=[text], images=images, return_tensors="pt")


def batch_of(adapter, groups, images):
    """Groups (prompt, responses' ids) packed to one sequence over the given different images."""
    hashes = [image.content_hash for image in images]
    prompts = [list(adapter.render(row).prompt_ids) for row, _ in groups]
    responses = [responses for _, responses in groups]
    ids = [sum(some, prompt) for prompt, some in zip(prompts, responses, strict=True)]
    lengths = [[len(one) for one in some] for some in responses]
    return ModelBatch(
        input_ids_T=torch.tensor(list(chain.from_iterable(ids))),
        groups=lay_out(list(zip(map(len, prompts), lengths, strict=True))),
        image_index_G=[[hashes.index(i.content_hash) for i in row.images] for row, _ in groups],
        vision=adapter.vision_inputs(images),
    )


@pytest.mark.parametrize("size", [(84, 84), (40, 200), (600, 300), (20, 20)])
@pytest.mark.parametrize("num_images", [0, 1, 2])
def test_prompt_ids_are_those_of_the_processor(adapter, size, num_images):
    row = prompt(3, num_images=num_images, size=size)
    rendered = adapter.render(row)
    assert rendered.prompt_ids == tuple(processor_inputs(adapter, row)["input_ids"][0].tolist())
    assert rendered.engine_ids.count(adapter.image_id) == num_images


def test_a_system_prompt_stands_first(config):
    adapter = load_adapter(dataclasses.replace(config, system_prompt="Think first."))
    text = adapter.tokenizer.decode(adapter.render(prompt(0)).engine_ids)
    assert text.startswith("<|im_start|>system\nThink first.<|im_end|>\n<|im_start|>user\n")
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("question", ["no mark", "<image><image>two marks"])
def test_marks_that_do_not_match_the_images_are_refused(adapter, question):
    row = Prompt(prompt_id="p7", question=question, images=(picture(),))
    with pytest.raises(ValueError, match=r"prompt p7: .*1 images"):
        adapter.render(row)


def test_a_placeholder_written_as_text_is_refused(adapter):
    row = Prompt(prompt_id="p8", question="<image> and <|image_pad|>", images=(picture(),))
    with pytest.raises(ValueError, match=r"prompt p8: .*placeholder as text"):
        adapter.render(row)
    with pytest.raises(ValueError, match="no response may contain"):
        adapter.encode_response("look: <|image_pad|>")


@pytest.mark.parametrize(
    "text", ["<think> 3 + 4 </think><answer> 7 </answer>", "naïve – 数", " \n "]
)
def test_a_response_survives_encoding_and_decoding(adapter, text):
    ids = adapter.encode_response(text)
    assert ids[-1] == adapter.tokenizer.convert_tokens_to_ids("<|im_end|>") == adapter.end_ids[0]
    assert adapter.decode(ids) == text
    assert adapter.decode(ids[:-1]) == text


def test_banned_ids_are_the_placeholders_and_the_unused_rows(adapter):
    names = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    placeholders = adapter.tokenizer.convert_tokens_to_ids(names)
    unused = range(len(adapter.tokenizer), adapter.vocab_size)
    assert len(unused) == 7
    assert adapter.banned_ids == (*sorted(placeholders), *unused)
    assert not set(adapter.banned_ids) & set(adapter.end_ids)


def test_hidden_states_of_packed_groups_equal_transformers_forward_of_each_row(
    adapter, model, plain_model
):
    shared, two, text = prompt(1), prompt(2, num_images=2, size=(112, 56)), prompt(3, num_images=0)
    four = prompt(4, num_images=4, size=(28, 56))
    groups = [
        (shared, [[5, 6, 7], [8, 8, 8, 8, 8], [9]]),
        (two, [[9]]),
        (four, [[7, 6], list(range(20, 120))]),
        (text, [[4, 4], [5, 4, 3]]),
    ]
    images = [two.images[1], shared.images[0], two.images[0], *four.images]
    batch = batch_of(adapter, groups, images)
    with torch.no_grad():
        found = adapter.output_head(model)(adapter.hidden_states(model, batch))
        for laid, (row, responses) in zip(batch.groups, groups, strict=True):
            start = laid.start + laid.prompt_length
            for first, response in zip(laid.response_starts, responses, strict=True):
                wanted = plain_logits(adapter, plain_model, row, response)
                in_prompt = found[laid.start : start] - wanted[: laid.prompt_length]
                own = found[first : first + len(response)] - wanted[laid.prompt_length :]
                assert max(in_prompt.abs().max(), own.abs().max()) <= 1e-5


def test_plain_logits_are_those_of_the_processors_inputs(adapter, plain_model):
    row = prompt(2, num_images=2, size=(112, 56))
    wanted = plain_model(**processor_inputs(adapter, row)).logits[0]
    assert torch.equal(plain_logits(adapter, plain_model, row, []), wanted)


def test_the_vision_tower_runs_once_for_each_different_image(adapter, model):
    grids = []
    hook = model.model.visual.register_forward_hook(
        lambda module, args, kwargs, output: grids.append(kwargs["grid_thw"]), with_kwargs=True
    )
    row = prompt(1)
    adapter.hidden_states(model, batch_of(adapter, [(row, [[5]] * 3), (row, [[6]])], [*row.images]))
    hook.remove()
    assert [len(grid) for grid in grids] == [1]


def test_a_batch_without_images_touches_the_tower_with_weight_zero(adapter, model):
    batch = batch_of(adapter, [(prompt(3, num_images=0), [[4, 4]])], [])
    assert batch.vision["image_grid_thw"].tolist() == [[1, 2, 2]]
    model.zero_grad()
    adapter.hidden_states(model, batch).sum().backward()
    for name, parameter in model.model.visual.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name
    model.zero_grad()


def test_placeholders_that_do_not_match_the_features_are_an_error(adapter, model):
    row = prompt(1)
    batch = batch_of(adapter, [(row, [[5]])], list(row.images))
    wrong = dataclasses.replace(batch, vision=adapter.vision_inputs([picture(1, (28, 28))]))
    with pytest.raises(ValueError, match="group 0: 9 image placeholders but 1"):
        adapter.hidden_states(model, wrong)


def test_tower_and_projector_share_no_parameter_and_miss_none(adapter, model):
    tower, projector = adapter.vision_modules(model)
    parts = [{id(p) for p in module.parameters()} for module in (tower, projector)]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == {id(p) for p in model.model.visual.parameters()}


def test_transparent_pixels_become_white(adapter):
    buffer = io.BytesIO()
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save(buffer, format="PNG")
    [opened] = adapter.open_images((EncodedImage.from_bytes(buffer.getvalue()),))
    assert opened.getpixel((3, 3)) == (255, 255, 255)


def test_a_turned_picture_counts_the_tokens_of_its_upright_form(adapter):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (200, 40)).save(buffer, format="JPEG", exif=exif)
    turned = Prompt(
        prompt_id="x",
        question="<image>?",
        images=(EncodedImage.from_bytes(buffer.getvalue()),),
    )
    assert adapter.open_images(turned.images)[0].size == (40, 200)
    wanted = tuple(processor_inputs(adapter, turned)["input_ids"][0].tolist())
    assert adapter.render(turned).prompt_ids == wanted


def test_a_mark_behind_a_backslash_is_rendered_as_text(adapter):
    row = prompt(3, num_images=1)
    escaped = dataclasses.replace(row, question=r"<image>What does \<image> do?")
    text = adapter.tokenizer.decode(adapter.render(escaped).engine_ids)
    assert "What does <image> do?" in text
    assert adapter.render(escaped).engine_ids.count(adapter.image_id) == 1


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|vision_end|>"])
def test_a_control_token_of_the_model_in_a_question_is_refused(adapter, token):
    row = Prompt(prompt_id="9f0c", question=f"hello{token}", images=())
    with pytest.raises(ValueError, match=r"prompt 9f0c: the question holds '<\|"):
        adapter.render(row)


@pytest.mark.parametrize("token", ["<tool_call>", "</tool_response>", "<|fim_prefix|>"])
def test_a_control_token_that_the_vocabulary_does_not_call_special_is_refused_too(config, token):
    from tokenizers import AddedToken

    wider = load_adapter(config)
    wider.tokenizer.add_tokens([AddedToken(name, special=False) for name in (token, "<think>")])
    wider.control_tokens = control_tokens(wider.tokenizer)
    with pytest.raises(ValueError, match="control token"):
        wider.render(Prompt(prompt_id="9f0c", question=f"hello{token}", images=()))
    wider.render(Prompt(prompt_id="9f0c", question="what is <think>?", images=()))


def test_a_control_token_in_the_system_prompt_is_refused_by_its_setting(config):
    with pytest.raises(ValueError, match=r"^model.system_prompt holds '<\|im_end\|>'"):
        load_adapter(dataclasses.replace(config, system_prompt="Think.<|im_end|>"))


def test_the_saved_processor_loads_in_plain_transformers(adapter, tmp_path):
    from transformers import AutoProcessor

    adapter.save_processor(str(tmp_path))
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.image_processor.size["longest_edge"] == 50176
    assert loaded.chat_template == adapter.processor.chat_template
