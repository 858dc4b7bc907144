"""Two ranks at ZeRO-3 with rows of 0, 1, 2 and 4 pictures beside rows of text alone: no rank waits for ever.

Real DeepSpeed over gloo. Under ZeRO-3 each layer's gather is collective, so a rank that skipped the vision tower would
leave the other waiting in it. The pictures are references: each rank reads the files it needs.
"""

import json
from pathlib import Path

import pytest

from tests.integration.test_trainer_ranks import start_trainer
from tests.processes import in_processes
from tests.unit.training.sample_rows import picture, tiny_adapter
from vr1_ray.config import DataConfig, OptimizerConfig
from vr1_ray.data import load_prompts
from vr1_ray.training.dealing import deal
from vr1_ray.training.rows import images_of
from vr1_ray.types import EncodedImage, Prompt, TrainRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COLOURS = ("red", "blue", "green", "black")
NUM_PICTURES = (4, 0, 1, 2, 0)
TO_RANKS = {  # rank -> indices of NUM_PICTURES
    "one sees none": ((0, 2, 3), (1, 4)),
}


def load(folder) -> list[Prompt]:
    """The prompts, their pictures files in `folder`."""
    rows = [
        {
            "problem": "<image>" * number + f"How many circles in question {index}?",
            "answer": "1",
            "images": [f"{colour}.png" for colour in COLOURS[:number]],
        }
        for index, number in enumerate(NUM_PICTURES)
    ]
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(picture(colour).data)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_prompts(DataConfig(), str(folder / "rows.jsonl"), "train")


def units_of(prompts: list[Prompt]) -> list[list[TrainRow]]:
    """Two rows a prompt, of different lengths."""
    adapter = tiny_adapter()
    return [
        [
            TrainRow(
                row_id=f"{index}/{place}",
                prompt_ids=adapter.render(prompt).prompt_ids,
                response_ids=tuple(range(20 + index, 30 + 3 * index + 5 * place)),
                image_hashes=tuple(image.content_hash for image in prompt.images),
                advantage=(1.0, -0.5)[place] + 0.1 * index,
                ref_logprobs=(-4.0,) * (10 + 2 * index + 5 * place),
            )
            for place in range(2)
        ]
        for index, prompt in enumerate(prompts)
    ]


def run_steps(rank, world_size, folder):
    """The loss and gradient of one step, by who has which rows."""
    prompts = load_prompts(DataConfig(), str(Path(folder) / "rows.jsonl"), "train")
    units = units_of(prompts)
    [dealt] = deal(units, num_ranks=world_size, num_mini_batches=1)[rank]
    parts = {"dealt": dealt}
    for name, ranks in TO_RANKS.items():
        own = ranks[rank] if world_size == 2 else range(len(units))
        parts[name] = [units[index] for index in own]
    still = OptimizerConfig(lr=1e-12)  # each step begins at the same weights
    trainer = start_trainer(
        rank, world_size, zero_stage=3, max_tokens_per_micro_batch=256, optimizer=still
    )
    found = {}
    for name, part in parts.items():
        rows = [row for unit in part for row in unit]
        images: dict[str, EncodedImage] = images_of(prompts, part)
        metrics = trainer.train_step([rows], images)
        found[name] = metrics["loss"], metrics["grad_norm"]
    return found


def test_ranks_with_unequal_pictures_do_not_hang_and_have_the_loss_of_one_rank(tmp_path):
    prompts = load(tmp_path)
    assert [len(prompt.images) for prompt in prompts] == list(NUM_PICTURES)
    [alone] = in_processes(run_steps, 1, tmp_path)
    first, second = in_processes(run_steps, 2, tmp_path)
    assert first == second
    for name, expected in alone.items():
        assert first[name] == pytest.approx(expected, rel=1e-4), name
