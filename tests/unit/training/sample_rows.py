"""Rows, images and settings that the tests of training share."""

import io
import random
from pathlib import Path

from PIL import Image, ImageDraw

from vr1_ray.config import ModelConfig, OptimizerConfig, TrainerConfig
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.types import EncodedImage, Prompt, TrainRow

TINY_MODEL = Path(__file__).parents[3] / "examples" / "vr1_tiny" / "model"


def model_config(**settings) -> ModelConfig:
    return ModelConfig(**({"path": str(TINY_MODEL)} | settings))


def trainer_config(**settings) -> TrainerConfig:
    """Adam with an epsilon that dwarfs every gradient: the update is lr times the gradient."""
    optimizer = OptimizerConfig(lr=1.0, eps=1.0)
    return TrainerConfig(**({"num_threads": 1, "optimizer": optimizer} | settings))


def tiny_adapter() -> ModelAdapter:
    return load_adapter(model_config())


def picture(colour: str) -> EncodedImage:
    image = Image.new("RGB", (84, 84), "white")
    ImageDraw.Draw(image).ellipse((10, 10, 60, 60), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return EncodedImage.from_bytes(buffer.getvalue())


def sample_rows(adapter: ModelAdapter) -> tuple[list[TrainRow], dict[str, EncodedImage]]:
    """Two groups of three rows with an image each and one of three without, lengths 1 to 60."""
    rng = random.Random(0)
    images = {}
    rows = []
    for name in ("red", "blue", None):
        shown = (picture(name),) if name else ()
        images |= {image.content_hash: image for image in shown}
        question = "<image>" * len(shown) + f"How many {name} circles are there?"
        prompt = Prompt(prompt_id=str(name), question=question, images=shown)
        prompt_ids = adapter.render(prompt).prompt_ids
        for index, length in enumerate((1, rng.randint(10, 30), rng.randint(40, 60))):
            rows.append(
                TrainRow(
                    row_id=f"{name}/{index}",
                    prompt_ids=prompt_ids,
                    response_ids=tuple(rng.randrange(20, 500) for _ in range(length)),
                    image_hashes=tuple(image.content_hash for image in shown),
                    advantage=rng.gauss(0, 1),
                    rollout_logprobs=tuple(rng.gauss(-4, 1) for _ in range(length)),
                    ref_logprobs=tuple(rng.gauss(-4, 1) for _ in range(length)),
                )
            )
    return rows, images
