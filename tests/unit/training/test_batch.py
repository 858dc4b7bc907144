"""Rows become micro-batches: budget, padding, shared images, positions."""

from dataclasses import replace

import pytest
import torch

from tests.unit.training.sample_rows import sample_rows, tiny_adapter
from vr1_ray.training.batch import VisionInputs, collate, plan_micro_batches, row_length
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


def test_every_row_is_planned_once_and_no_micro_batch_pads_past_the_budget():
    rows = [row(length) for length in (5, 90, 40, 41, 7, 88, 60, 3)]
    plan = plan_micro_batches(rows, 128)
    assert sorted(index for part in plan for index in part) == list(range(8))
    assert all(len(part) * max(row_length(rows[i]) for i in part) <= 128 for part in plan)


def test_a_row_over_the_budget_stands_alone():
    plan = plan_micro_batches([row(10), row(500), row(12)], 64)
    assert [1] in plan
    assert len(plan) == 2


def test_rows_of_one_image_go_together_among_rows_of_like_length():
    rows = [row(40, "b"), row(41, "a"), row(40, "a"), row(41, "b")]
    assert plan_micro_batches(rows, 84) == [[1, 2], [0, 3]]


def test_a_micro_batch_is_closed_where_the_next_row_would_be_mostly_padding():
    # of 100 + 100 + 40 tokens in 300, a fifth is padding; in 100 + 95 of 200 a fortieth
    assert plan_micro_batches([row(100), row(40), row(100)], 800) == [[0, 2], [1]]
    assert plan_micro_batches([row(100), row(95)], 800) == [[0, 1]]
    # below an eighth of the budget padding is the lesser cost
    assert plan_micro_batches([row(100), row(40)], 8000) == [[0, 1]]


def test_no_rows_make_no_micro_batches():
    assert plan_micro_batches([], 64) == []


def test_positions_point_one_before_each_response_token(adapter, rows_and_images):
    rows, images = rows_and_images
    micro_batch = collate(
        rows[:2], VisionInputs(adapter, images), pad_id=adapter.pad_id, device=CPU
    )
    flat_ids = micro_batch.model_batch.input_ids_BT.flatten()
    assert torch.equal(flat_ids[micro_batch.positions_N + 1], micro_batch.token_ids_N)
    assert micro_batch.token_ids_N.tolist() == [*rows[0].response_ids, *rows[1].response_ids]
    assert micro_batch.positions_N[0] == len(rows[0].prompt_ids) - 1
    assert micro_batch.row_lengths_B.tolist() == [1, len(rows[1].response_ids)]
    assert micro_batch.row_index_N.bincount().tolist() == micro_batch.row_lengths_B.tolist()


def test_each_different_image_comes_once(adapter, rows_and_images):
    rows, images = rows_and_images
    micro_batch = collate(rows, VisionInputs(adapter, images), pad_id=adapter.pad_id, device=CPU)
    assert micro_batch.model_batch.image_index_B == [[0]] * 3 + [[1]] * 3 + [[]] * 3
    assert len(micro_batch.model_batch.vision["image_grid_thw"]) == 2


def test_a_batch_without_images_brings_a_dummy_one(adapter, rows_and_images):
    rows, _ = rows_and_images
    micro_batch = collate(rows[6:], VisionInputs(adapter, {}), pad_id=adapter.pad_id, device=CPU)
    assert len(micro_batch.model_batch.vision["image_grid_thw"]) == 1


def test_an_image_that_did_not_come_is_named(adapter, rows_and_images):
    rows, _ = rows_and_images
    with pytest.raises(ValueError, match=rows[0].image_hashes[0]):
        collate(rows[:1], VisionInputs(adapter, {}), pad_id=adapter.pad_id, device=CPU)


def test_greedy_rows_are_scored_at_temperature_one(adapter):
    rows = [replace(row(4), temperature=0.0), replace(row(4), temperature=0.7)]
    micro_batch = collate(rows, VisionInputs(adapter, {}), pad_id=adapter.pad_id, device=CPU)
    assert micro_batch.temperature_N.tolist() == pytest.approx([1.0] * 3 + [0.7] * 3)


def test_missing_per_token_values_name_the_row(adapter):
    micro_batch = collate([row(4)], VisionInputs(adapter, {}), pad_id=adapter.pad_id, device=CPU)
    with pytest.raises(ValueError, match="row 4"):
        micro_batch.per_token(lambda row: row.ref_logprobs)
