"""The reference over two ranks gives the log-probabilities of the reference on one, whatever rows each rank has."""

from dataclasses import replace

import pytest

from tests.builders import save_random_tiny_model
from tests.processes import in_processes
from tests.unit.training.sample_rows import model_config, sample_rows, trainer_config
from vr1_ray.training.reference import ReferencePolicy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def score_on_ranks(rank, world_size, folder):
    """All rows on rank 0, some on rank 1, none on rank 1; then again after a reset."""
    reference = ReferencePolicy(
        model=model_config(),
        trainer=trainer_config(max_tokens_per_micro_batch=128),
        deterministic=True,
        is_sharded=True,
    )
    rows, images = sample_rows(reference.adapter)
    whole = [tuple(weight.shape) for weight in reference.policy.module.parameters()]
    found = {
        "empty on this rank": sum(shape == (0,) for shape in whole),
        "split": reference.compute_logprobs(rows[rank::2], images),
        "on rank 0": reference.compute_logprobs(rows if rank == 0 else [], images),
    }
    reference.load_weights(f"{folder}/other")
    found["other"] = reference.compute_logprobs(rows[rank::2], images)
    return found


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    save_random_tiny_model(folder / "other", unused_rows=0)
    return in_processes(score_on_ranks, 2, folder), str(folder / "other")


def alone(path=None):
    model = model_config() if path is None else replace(model_config(), path=path)
    reference = ReferencePolicy(model=model, trainer=trainer_config(), deterministic=True)
    return reference.compute_logprobs(*sample_rows(reference.adapter))


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_two_ranks_give_what_one_gives(ranks):
    (first, second), _ = ranks
    expected = alone()
    assert_same(first["split"], expected[0::2])
    assert_same(second["split"], expected[1::2])
    assert_same(first["on rank 0"], expected)
    assert second["on rank 0"] == []


def test_each_rank_holds_a_part_only(ranks):
    for found in ranks[0]:
        assert (
            found["empty on this rank"] > 20
        )  # ZeRO-3 leaves such a shape where a weight is not gathered


def test_a_reset_makes_all_ranks_another_policy(ranks):
    (first, second), other = ranks
    expected = alone(other)
    assert_same(first["other"], expected[0::2])
    assert_same(second["other"], expected[1::2])
