"""What tests build in place of files: a random tiny Qwen2.5-VL, pictures, prompts."""

import io
import random
import shutil
from pathlib import Path

from vr1_ray.types import EncodedImage, Prompt

TINY_MODEL = Path(__file__).parent.parent / "examples/vr1_tiny/model"
PROCESSOR_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


def random_weights(model, *, seed=0, scale=0.08):
    """Fill a model with weights that make its answers vary: near-uniform ones would hide mistakes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and "norm" in name:
                parameter.copy_(1 + 0.1 * torch.randn(parameter.shape, generator=generator))
            else:
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def save_random_tiny_model(folder, *, tied=False, seed=0, unused_rows=7, **text_settings):
    """Write vr1-tiny's tokenizer and processor with random weights; its head has rows no token uses.

    `text_settings` are more of its text_config."""
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROCESSOR_FILES:
        shutil.copy(TINY_MODEL / name, folder / name)
    config = AutoConfig.from_pretrained(TINY_MODEL)
    config.text_config.vocab_size += unused_rows
    config.text_config.tie_word_embeddings = tied
    for name, value in text_settings.items():
        setattr(config.text_config, name, value)
    config.tie_word_embeddings = tied
    model = random_weights(Qwen2_5_VLForConditionalGeneration(config).float(), seed=seed)
    model.save_pretrained(folder)
    return folder


def picture(seed=0, size=(84, 84)):
    """An encoded picture of coloured blocks, a different one for each seed."""
    from PIL import Image, ImageDraw

    rng = random.Random(seed)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.rectangle([x, y, x + size[0] // 3, y + size[1] // 3], fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return EncodedImage.from_bytes(buffer.getvalue())


def prompt(seed=0, *, num_images=1, text="How many red circles are there?", size=(84, 84)):
    """A prompt with its pictures."""
    images = tuple(picture(100 * seed + index, size) for index in range(num_images))
    return Prompt(
        prompt_id=f"p{seed}", question="<image>" * num_images + text, images=images, answer="3"
    )


def plain_logits(adapter, model, row, response_ids):
    """transformers' own forward pass over one prompt and response, alone: logits [T, vocabulary]."""
    import torch

    prompt_ids = adapter.render(row).prompt_ids
    ids = torch.tensor([[*prompt_ids, *response_ids]])
    pictures = {}
    if row.images:
        pictures = adapter.plain_inputs(model, prompt_ids, list(row.images))
        del pictures["input_ids"]
        if "mm_token_type_ids" in pictures:
            pictures["mm_token_type_ids"] = (ids == adapter.image_id).int()
    return model(input_ids=ids, **pictures).logits[0]
