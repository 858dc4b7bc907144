"""Turns figures and texts into tensors for vr1-tiny, fast enough to make each batch as it is
needed.

The real processor takes longer for a batch than the model does. Every prompt here has one 84x84
image at its start, so pixels, token ids and positions can be computed directly;
`check_against_processor` holds them to what the processor and the model would have made.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from vr1_ray.figure_math.drawing import Figure, draw

PATCH_SIZE, MERGE_SIZE, TEMPORAL_PATCH_SIZE = 14, 2, 2
GRID = 6  # patches a side
NUM_IMAGE_TOKENS = (GRID // MERGE_SIZE) ** 2


@dataclass(frozen=True)
class Example:
    """A figure, what is asked, and the response to learn (empty when it is to be generated)."""

    figure: Figure
    question: str
    response: str = ""


def patchify(images: list[Image.Image], mean: list[float], std: list[float]) -> torch.Tensor:
    """[num_images * 36, 1176] pixel values, in the order of the Qwen2-VL image processor."""
    pixels = np.stack([np.asarray(image, dtype=np.float32) for image in images]) / 255.0
    pixels = (pixels - np.asarray(mean, dtype=np.float32)) / np.asarray(std, dtype=np.float32)
    merged = GRID // MERGE_SIZE
    blocks = pixels.reshape(
        len(images), merged, MERGE_SIZE, PATCH_SIZE, merged, MERGE_SIZE, PATCH_SIZE, 3
    )
    # image, merged row and column, row and column in the merge, channel, pixel row and column
    patches = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6).reshape(-1, 3, 1, PATCH_SIZE, PATCH_SIZE)
    repeated = np.repeat(patches, TEMPORAL_PATCH_SIZE, axis=2)
    return torch.from_numpy(repeated.reshape(len(images) * GRID * GRID, -1).astype(np.float32))


def render(processor: Qwen2_5_VLProcessor, question: str) -> str:
    """The prompt text with one image placeholder, by the chat template."""
    content = [{"type": "image"}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


class Batcher:
    """Makes model inputs from examples."""

    def __init__(self, processor: Qwen2_5_VLProcessor) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.pad_id = self.tokenizer.pad_token_id
        before, after = render(processor, "\0").split("\0")
        self._before = before.replace("<|image_pad|>", "<|image_pad|>" * NUM_IMAGE_TOKENS)
        self._after = after
        image_id = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.image_start = self.tokenizer(self._before)["input_ids"].index(image_id)

    def prompt_ids(self, questions: list[str]) -> list[list[int]]:
        """The expanded prompts."""
        return self.tokenizer([self._before + question + self._after for question in questions])[
            "input_ids"
        ]

    def position_ids(self, length: int) -> torch.Tensor:
        """[3, 1, length]: the same for every row, since every prompt starts alike."""
        side = GRID // MERGE_SIZE
        cells = torch.arange(NUM_IMAGE_TOKENS)
        image = (
            torch.stack([torch.zeros_like(cells), cells // side, cells % side]) + self.image_start
        )
        before = torch.arange(self.image_start).expand(3, -1)
        num_after = max(0, length - self.image_start - NUM_IMAGE_TOKENS)
        after = (torch.arange(num_after) + self.image_start + side).expand(3, -1)
        return torch.cat([before, image, after], dim=1)[:, None, :length]

    def pixels(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        """What the vision tower takes."""
        images = [draw(example.figure) for example in examples]
        image_processor = self.processor.image_processor
        pixel_values = patchify(images, image_processor.image_mean, image_processor.image_std)
        grid = torch.tensor([[1, GRID, GRID]]).expand(len(examples), -1)
        return {"pixel_values": pixel_values, "image_grid_thw": grid}

    def training_batch(
        self, examples: list[Example]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Inputs padded on the right (causal attention never sees the padding) and labels [B, T]."""
        prompts = self.prompt_ids([example.question for example in examples])
        responses = self.tokenizer([example.response for example in examples])["input_ids"]
        rows = [
            prompt + response + [self.tokenizer.eos_token_id]
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self.pad_id)
        labels = torch.full((len(rows), width), -100)
        for index, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
            ids[index, : len(row)] = torch.tensor(row)
            labels[index, len(prompt) : len(row)] = ids[index, len(prompt) : len(row)]
        positions = self.position_ids(width).expand(-1, len(rows), -1)
        return {"input_ids": ids, "position_ids": positions, **self.pixels(examples)}, labels

    def prompt_batch(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        """Prompts for generation, padded on the left."""
        prompts = self.prompt_ids([example.question for example in examples])
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([[self.pad_id] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        image_id = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        types = (ids == image_id).int()
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "mm_token_type_ids": types,
            **self.pixels(examples),
        }


def response_loss(
    model: Qwen2_5_VLForConditionalGeneration, inputs: dict[str, torch.Tensor], labels: torch.Tensor
) -> torch.Tensor:
    """Summed cross-entropy of the response tokens; logits are made at those positions only."""
    hidden = model.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    wanted = targets != -100
    logits = model.lm_head(hidden[wanted])
    return torch.nn.functional.cross_entropy(logits, targets[wanted], reduction="sum")


def check_against_processor(
    model: Qwen2_5_VLForConditionalGeneration,
    processor: Qwen2_5_VLProcessor,
    examples: list[Example],
) -> None:
    """Stops if the shortcuts above differ from the processor's tensors or the model's positions."""
    batcher = Batcher(processor)
    for example in examples:
        inputs, _ = batcher.training_batch([example])
        text = render(processor, example.question)
        real = processor(text=[text], images=[draw(example.figure)], return_tensors="pt")
        length = real["input_ids"].shape[1]
        positions, _ = model.model.get_rope_index(
            real["input_ids"],
            mm_token_type_ids=real["mm_token_type_ids"],
            image_grid_thw=real["image_grid_thw"],
        )
        assert torch.equal(real["image_grid_thw"], inputs["image_grid_thw"])
        assert torch.equal(real["input_ids"][0], inputs["input_ids"][0, :length])
        assert torch.equal(positions, inputs["position_ids"][:, :, :length])
        assert torch.allclose(real["pixel_values"], inputs["pixel_values"], atol=1e-5)
