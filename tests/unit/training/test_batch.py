"""Rows become packed micro-batches: shared prompts and images, positions."""

from dataclasses import replace

import pytest
import torch

from tests.unit.training.sample_rows import sample_rows, tiny_adapter
from vr1_ray.training.batch import VisionInputs, collate
from vr1_ray.types import TrainRow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def adapter():
    return tiny_adapter()


@pytest.fixture(scope="module")
def rows_and_images(adapter):
    return sample_rows(adapter)


def row(length: int, image: str = "") -> TrainRow:
    hashes = (image,) if image else ()
    return TrainRow(
        row_id=f"{length}{image}",
        prompt_ids=(1,),
        response_ids=(2,) * (length - 1),
        image_hashes=hashes,
    )


def test_the_first_token_of_each_response_is_predicted_at_the_end_of_the_prompt_and_the_others_one_before(
    adapter, rows_and_images
):
    rows, images = rows_and_images
    micro_batch = collate(rows[:2], VisionInputs(adapter, images), device=CPU)
    prompt = len(rows[0].prompt_ids)
    ids = [*rows[0].prompt_ids, *rows[0].response_ids, *rows[1].response_ids]
    assert micro_batch.model_batch.input_ids_T.tolist() == ids  # the prompt once
    second = range(prompt + 1, prompt + len(rows[1].response_ids))
    assert micro_batch.positions_N.tolist() == [prompt - 1, prompt - 1, *second]
    assert micro_batch.token_ids_N.tolist() == [*rows[0].response_ids, *rows[1].response_ids]
    assert micro_batch.row_lengths_B.tolist() == [1, len(rows[1].response_ids)]
    assert micro_batch.row_index_N.bincount().tolist() == micro_batch.row_lengths_B.tolist()


def test_each_different_image_comes_once(adapter, rows_and_images):
    rows, images = rows_and_images
    micro_batch = collate(rows, VisionInputs(adapter, images), device=CPU)
    assert micro_batch.model_batch.image_index_G == [[0], [1], []]
    assert len(micro_batch.model_batch.vision["image_grid_thw"]) == 2


def test_rows_of_one_text_with_other_pictures_share_no_prompt(adapter, rows_and_images):
    rows, images = rows_and_images
    first, second = rows[0], replace(rows[0], image_hashes=rows[3].image_hashes)
    found = collate([first, second], VisionInputs(adapter, images), device=CPU)
    assert [group.response_lengths for group in found.model_batch.groups] == [(1,), (1,)]
    assert found.model_batch.image_index_G == [[0], [1]]


def test_a_batch_without_images_brings_a_dummy_one(adapter, rows_and_images):
    rows, _ = rows_and_images
    micro_batch = collate(rows[6:], VisionInputs(adapter, {}), device=CPU)
    assert len(micro_batch.model_batch.vision["image_grid_thw"]) == 1


def test_an_image_that_did_not_come_is_named(adapter, rows_and_images):
    rows, _ = rows_and_images
    with pytest.raises(ValueError, match=rows[0].image_hashes[0]):
        collate(rows[:1], VisionInputs(adapter, {}), device=CPU)


def test_greedy_rows_are_scored_at_temperature_one(adapter):
    rows = [replace(row(4), temperature=0.0), replace(row(4), temperature=0.7)]
    micro_batch = collate(rows, VisionInputs(adapter, {}), device=CPU)
    assert micro_batch.temperature_N.tolist() == pytest.approx([1.0] * 3 + [0.7] * 3)


def test_missing_per_token_values_name_the_row(adapter):
    micro_batch = collate([row(4)], VisionInputs(adapter, {}), device=CPU)
    with pytest.raises(ValueError, match="row 4"):
        micro_batch.per_token(lambda row: row.ref_logprobs)
