"""Who trains which row: units stay whole, loads are even, mini-batches follow prompt order."""

import pytest

from vr1_ray.training.rows import balance, deal, num_tokens, unit_of_group
from vr1_ray.types import EncodedImage, Prompt, Rollout, RolloutGroup, Stage, TrainRow


def unit(name: str, *lengths: int) -> list[TrainRow]:
    return [
        TrainRow(
            row_id=f"{name}/{i}", prompt_ids=(1, 2), response_ids=(3,) * length, image_hashes=()
        )
        for i, length in enumerate(lengths)
    ]


def names(units) -> list[str]:
    return [unit[0].row_id.split("/")[0] for unit in units]


def group(advantage: float | None) -> RolloutGroup:
    image = EncodedImage.from_bytes(b"png")
    rollout = Rollout(
        index=0,
        attempt=0,
        seed=7,
        status="finished",
        response_ids=(5, 6),
        text="x",
        rollout_logprobs=(-0.1, -0.2),
        advantage=advantage,
    )
    return RolloutGroup(
        prompt=Prompt(prompt_id="p", question="<image>?", images=(image,), answer="1"),
        step=1,
        stage=Stage(number=1, max_response_tokens=8, group_size=1, steps=1),
        policy_version=0,
        prompt_ids=(1, 4, 4),
        rollouts=(rollout,),
    )


def test_balance_gives_the_longest_unit_its_own_part():
    # tokens: a 2+10, b 2+3, c 2+4, so {a} against {b, c}: 12 and 11
    parts = balance([unit("a", 10), unit("b", 3), unit("c", 4)], 2)
    assert [names(part) for part in parts] == [["a"], ["b", "c"]]


def test_balance_keeps_a_unit_whole_and_loses_none():
    units = [unit(str(n), n, n + 1) for n in range(1, 8)]
    parts = balance(units, 3)
    assert sorted(name for part in parts for name in names(part)) == sorted(names(units))
    assert all(len(unit) == 2 for part in parts for unit in part)


def test_more_parts_than_units_leaves_parts_empty():
    assert [len(part) for part in balance([unit("a", 1)], 3)] == [1, 0, 0]


def test_mini_batches_are_consecutive_prompts_on_every_rank():
    units = [unit(name, 4) for name in "abcd"]
    dealt = deal(units, num_ranks=2, num_mini_batches=2)
    assert [[names(mini_batch) for mini_batch in rank] for rank in dealt] == [
        [["a"], ["c"]],
        [["b"], ["d"]],
    ]


def test_units_that_do_not_divide_give_mini_batches_that_differ_by_one_unit():
    (dealt,) = deal([unit(name, 1) for name in "abcde"], num_ranks=1, num_mini_batches=2)
    assert [names(mini_batch) for mini_batch in dealt] == [["a", "b"], ["c", "d", "e"]]


def test_fewer_units_than_mini_batches_give_one_mini_batch_each():
    (dealt,) = deal([unit(name, 1) for name in "ab"], num_ranks=1, num_mini_batches=4)
    assert [names(mini_batch) for mini_batch in dealt] == [["a"], ["b"]]


def test_a_group_becomes_rows_with_all_the_trainer_needs():
    (row,) = unit_of_group(group(0.5), temperature=1.0)
    assert row.row_id == "p/0"
    assert (row.prompt_ids, row.response_ids) == ((1, 4, 4), (5, 6))
    assert (row.advantage, row.rollout_logprobs) == (0.5, (-0.1, -0.2))
    assert row.image_hashes == (EncodedImage.from_bytes(b"png").content_hash,)
    assert num_tokens([row]) == 5


def test_a_group_without_advantages_is_refused():
    with pytest.raises(ValueError, match="prompt p: rollout 0 has no advantage"):
        unit_of_group(group(None), temperature=1.0)
