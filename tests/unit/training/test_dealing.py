"""Who trains which row: prompts count once, loads are even, the budget is kept, mini-batches follow prompt order."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.units import UNITS, unit
from vr1_ray.training.dealing import MicroBatchPlan, balance, deal, with_shares
from vr1_ray.training.pieces import packed_tokens


def names(units) -> list[str]:
    return [unit[0].row_id.split("/")[0] for unit in units]


def ids(units) -> list[str]:
    return sorted(row.row_id for unit in units for row in unit)


def test_balance_gives_the_longest_unit_its_own_part():
    # tokens: a 2+10, b 2+3, c 2+4, so {a} against {b, c}: 12 and 11
    parts = balance([unit("a", 10), unit("b", 3), unit("c", 4)], 2)
    assert [names(part) for part in parts] == [["a"], ["b", "c"]]


def test_a_group_is_split_where_that_balances_better_than_its_second_prompt_costs():
    # 1,000 + 4 x 500 and nothing: a second prompt for two of them gives 2,000 and 2,000
    parts = balance([unit("a", 500, 500, 500, 500, prompt=1000)], 2)
    assert [len(ids(part)) for part in parts] == [2, 2]


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


def test_no_rows_make_no_micro_batches_and_as_many_as_others_make():
    plan = MicroBatchPlan([], 64)
    assert plan.parts == []
    plan.stretch(3)
    assert [part.groups() for part in plan.parts] == [[], [], []]


def test_rows_without_a_token_are_dealt_like_others():
    plan = MicroBatchPlan(unit("a", 0, 0, 9, prompt=10), 15)
    assert sorted(index for part in plan.parts for one in part.groups() for index in one) == [
        0,
        1,
        2,
    ]
    plan.stretch(5)
    assert [part.tokens for part in plan.parts][:1] == [19]


def test_a_row_over_the_budget_stands_alone():
    rows = [
        row for name, length in zip("abc", (10, 500, 12), strict=True) for row in unit(name, length)
    ]
    plan = MicroBatchPlan(rows, 64)
    assert [part.groups() for part in plan.parts] == [[[1]], [[0], [2]]]


def test_a_group_over_the_budget_is_cut_into_the_fewest_pieces():
    # 10 + 3 x 30 in 75: two responses behind one prompt, and one behind another
    plan = MicroBatchPlan(unit("a", 30, 30, 30, prompt=10), 75)
    assert [part.groups() for part in plan.parts] == [[[1, 2]], [[0]]]
    assert [part.tokens for part in plan.parts] == [70, 40]


@settings(max_examples=60, deadline=None)
@given(UNITS, st.integers(1, 200), st.integers(1, 6))
def test_each_row_is_trained_once_in_as_many_micro_batches_on_every_rank_within_the_budget(
    units, max_tokens, num_ranks
):
    units = [unit(str(n), *lengths, prompt=prompt) for n, (prompt, lengths) in enumerate(units)]
    dealt = balance(units, num_ranks)
    assert ids([unit for part in dealt for unit in part]) == ids(units)
    by_rank = [[row for unit in part for row in unit] for part in dealt]
    plans = [MicroBatchPlan(rows, max_tokens) for rows in by_rank]
    number = max(len(plan.parts) for plan in plans)
    packed = []
    for rows, plan in zip(by_rank, plans, strict=True):
        plan.stretch(number)
        assert len(plan.parts) == number
        seen = [index for part in plan.parts for group in part.groups() for index in group]
        assert sorted(seen) == list(range(len(rows)))
        for part in plan.parts:
            found = [rows[index] for group in part.groups() for index in group]
            assert part.tokens == packed_tokens(found)
            assert part.tokens <= max_tokens or len(found) == 1
        packed.append([part.tokens for part in plan.parts])
    real = sum(packed_tokens(unit) for unit in units)
    lockstep = num_ranks * sum(map(max, zip(*packed, strict=True)))
    mean = real / (num_ranks * number)
    longest = max(packed_tokens(unit) for unit in units)
    assert real / lockstep >= mean / (mean + longest) - 1e-9


STAGES = {  # of the paper's recipe: prompts of a mini-batch, responses each, cap, median's log, budget; see configs/vision_r1
    "stage 1": (128, 16, 4096, 7.0, 16384),
    "stage 2": (128, 8, 8192, 7.35, 16384),
    "stage 3": (128, 4, 16384, 7.7, 18432),
}


@pytest.mark.parametrize("stage", STAGES)
def test_ranks_hardly_wait_for_one_another_on_lengths_like_the_papers(stage):
    prompts, group, cap, centre, budget = STAGES[stage]
    rng = random.Random(1)
    units = []
    for number in range(prompts):
        own = rng.gauss(0, 0.55)
        lengths = [
            int(min(cap, max(60, math.exp(centre + own + rng.gauss(0, 0.45)))))
            for _ in range(group)
        ]
        units.append(unit(str(number), *lengths, prompt=rng.randint(380, 900)))
    num_ranks = 32
    dealt = deal(units, num_ranks=num_ranks, num_mini_batches=1)
    lockstep = 0
    for mini_batch in zip(*dealt, strict=True):
        plans = [
            MicroBatchPlan([row for one in part for row in one], budget) for part in mini_batch
        ]
        number = max(len(plan.parts) for plan in plans)
        for plan in plans:
            plan.stretch(number)
        tokens = [[part.tokens for part in plan.parts] for plan in plans]
        lockstep += num_ranks * sum(map(max, zip(*tokens, strict=True)))
    share = sum(map(packed_tokens, units)) / lockstep
    assert share >= 0.92, share


def test_the_shares_of_a_step_by_hand():
    # Prompts of 10: the ranks ran over 10 + 3 + 4 and 10 + 5; two prompts of three rows were alone 3 x 10 + 12.
    units = [unit("a", 3, 4, prompt=10), unit("b", 5, prompt=10)]
    found = with_shares({"loss": 1.0, "tokens/packed": 32.0, "tokens/lockstep": 34.0}, units)
    assert found == {
        "loss": 1.0,
        "train/lockstep_share": 32 / 34,
        "train/tokens_saved_by_prefix": pytest.approx(1 - 32 / 42),
    }
