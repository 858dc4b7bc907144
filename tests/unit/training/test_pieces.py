"""Rows that share a prompt, in parts: what they weigh, how they are cut, how even the parts are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.units import UNITS, unit
from vr1_ray.training.pieces import filled, packed_tokens, pieces_of, spread, within


def cut(parts) -> list[list[list[int]]]:
    return [part.groups() for part in parts]


def test_a_prompt_counts_once_however_many_rows_answer_it():
    assert packed_tokens(unit("a", 3, 4, prompt=10)) == 17
    assert packed_tokens([*unit("a", 3, prompt=10), *unit("b", 4, prompt=10)]) == 27


def test_a_piece_is_cut_into_as_few_nearly_equal_ones_as_keep_the_limit():
    [piece] = pieces_of(unit("a", 50, 40, 30, 20, prompt=10))  # 150
    assert within(piece, 150) == [piece]
    assert [one.tokens for one in within(piece, 149)] == [80, 80]  # 50 + 20 and 40 + 30
    assert [one.tokens for one in within(piece, 79)] == [60, 50, 60]  # 50, 40, and 30 + 20
    assert [one.tokens for one in within(piece, 20)] == [60, 50, 40, 30]


def test_parts_are_filled_in_turn_with_what_fits_of_a_prompt():
    # In 100: of 10 + 60 + 50 + 25 first 60 and 25, then 50 beside 10 + 30 of the other, then what is left.
    rows = [*unit("a", 60, 50, 25, prompt=10), *unit("b", 30, 20, prompt=10)]
    parts = filled(pieces_of(rows), 100)
    assert cut(parts) == [[[0, 2]], [[1], [3]], [[4]]]
    assert [part.tokens for part in parts] == [95, 100, 30]


def test_a_row_moves_to_a_second_prompt_where_parts_become_more_even_by_it():
    # Whole, they are 130 and 70; a row of 20 and a prompt of 10 make them 110 and 100.
    rows = [*unit("a", *[20] * 6, prompt=10), *unit("b", 30, 30, prompt=10)]
    assert sorted(part.tokens for part in spread(pieces_of(rows), 2)) == [100, 110]


@settings(max_examples=60, deadline=None)
@given(UNITS, st.integers(1, 8))
def test_no_part_is_over_the_mean_by_more_than_the_longest_piece(units, num_parts):
    rows = [
        row
        for n, (prompt, lengths) in enumerate(units)
        for row in unit(str(n), *lengths, prompt=prompt)
    ]
    pieces = pieces_of(rows)
    total, longest = packed_tokens(rows), max(piece.tokens for piece in pieces)
    assert max(part.tokens for part in spread(pieces, num_parts)) <= total / num_parts + longest
