"""Which keys a token of a packed sequence sees: hand-worked, by rectangles and as flash-attn is told."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vr1_ray.models.flash_varlen import varlen_of
from vr1_ray.models.packed_attention import Packed, rectangles_of
from vr1_ray.models.packing import Segment, lay_out, places_of, segments_of

CPU = torch.device("cpu")
LAYOUTS = st.lists(
    st.tuples(
        st.integers(1, 9), st.lists(st.sampled_from([0, 1, 2, 7, 80]), min_size=1, max_size=4)
    ),
    min_size=1,
    max_size=3,
)


def test_a_group_is_its_prompt_and_then_its_responses():
    first, second = lay_out([(2, [1, 3]), (4, [2])])
    assert (first.start, first.response_starts, first.end) == (0, [2, 3], 6)
    assert (second.start, second.response_starts, second.end) == (6, [10], 12)
    assert segments_of([first]) == [
        Segment(start=0, length=2),
        Segment(start=2, length=1, prefix_start=0, prefix_length=2),
        Segment(start=3, length=3, prefix_start=0, prefix_length=2),
    ]
    assert segments_of([second]) == [Segment(start=6, length=6)]  # nobody shares its prompt


def test_places_count_from_the_start_of_each_prompt_and_response():
    places = places_of(lay_out([(2, [1, 3]), (1, [2])]))
    assert places.group_T.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert places.place_T.tolist() == [0, 1, 0, 0, 1, 2, 0, 0, 1]
    assert places.is_prompt_T.tolist() == [True, True, *[False] * 4, True, False, False]


def test_a_rectangle_is_causal_at_the_lower_right():
    [prompt, response] = rectangles_of(
        [Segment(start=0, length=2), Segment(start=2, length=3, prefix_start=0, prefix_length=2)]
    )
    assert prompt.mask(None, CPU) is None
    assert response.mask(None, CPU).int().tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    assert response.mask(2, CPU).int().tolist() == [
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_responses_of_like_length_share_a_rectangle_and_others_do_not():
    segments = [
        Segment(start=at, length=length, prefix_start=0, prefix_length=5)
        for at, length in ((5, 400), (405, 20), (425, 90), (515, 310))
    ]
    found = [[one.length for one in rectangle.segments] for rectangle in rectangles_of(segments)]
    assert found == [[400, 310], [90], [20]]


def seen_by_definition(groups) -> torch.Tensor:
    """[T, T]: a prompt's tokens see it up to themselves, a response's their prompt and itself up to themselves."""
    total = groups[-1].end
    sees = torch.zeros(total, total, dtype=torch.bool)
    for group in groups:
        prompt = range(group.start, group.start + group.prompt_length)
        for token in prompt:
            sees[token, group.start : token + 1] = True
        for start, length in zip(group.response_starts, group.response_lengths, strict=True):
            for token in range(start, start + length):
                sees[token, list(prompt)] = True
                sees[token, start : token + 1] = True
    return sees


def seen_by_rectangles(groups) -> torch.Tensor:
    rectangles, inverse_T = Packed(groups, CPU).rectangles
    total = groups[-1].end
    rows = []
    for rectangle, index in rectangles:
        before = list(range(total))[rectangle.prefix]
        mask = rectangle.mask(None, CPU)
        if mask is None:
            mask = torch.ones(rectangle.width, rectangle.width, dtype=torch.bool).tril()
        for own in index.view(len(rectangle.segments), -1).tolist():
            for sees in mask:
                keys = torch.tensor([*before, *own])[sees]
                rows.append(torch.zeros(total, dtype=torch.bool).index_fill(0, keys, True))
    return torch.stack(rows)[inverse_T]


def seen_by_flash(groups) -> torch.Tensor:
    """As flash-attn documents it: the last query of a segment sees all of its keys, the one before one less."""
    varlen = varlen_of(segments_of(groups), CPU)
    total = groups[-1].end
    keys = torch.arange(total) if varlen.key_index is None else varlen.key_index
    sees = torch.zeros(total, total, dtype=torch.bool)
    bounds = [varlen.cumulative_queries.tolist(), varlen.cumulative_keys.tolist()]
    for q_start, q_end, k_start, k_end in zip(
        bounds[0], bounds[0][1:], bounds[1], bounds[1][1:], strict=False
    ):
        for query in range(q_start, q_end):
            sees[query, keys[k_start : k_end - (q_end - 1 - query)]] = True
    assert bounds[0][-1] == total
    assert bounds[1][-1] == len(keys)
    return sees


@settings(max_examples=15, deadline=None)
@given(LAYOUTS)
def test_rectangles_and_flash_attn_see_what_the_definition_says(groups):
    laid = lay_out(groups)
    expected = seen_by_definition(laid)
    assert torch.equal(seen_by_rectangles(laid), expected)
    assert torch.equal(seen_by_flash(laid), expected)


def test_flash_attn_is_told_of_the_longest_segments():
    varlen = varlen_of(segments_of(lay_out([(2, [1, 3])])), CPU)
    assert varlen.cumulative_queries.tolist() == [0, 2, 3, 6]
    assert varlen.cumulative_keys.tolist() == [0, 2, 5, 10]
    assert varlen.key_index.tolist() == [0, 1, 0, 1, 2, 0, 1, 3, 4, 5]
    assert (varlen.longest_queries, varlen.longest_keys) == (3, 5)


def test_a_sequence_without_shared_prompts_gathers_no_keys():
    assert varlen_of(segments_of(lay_out([(2, [3]), (4, [1])])), CPU).key_index is None


def test_the_kernel_is_that_of_the_attention_chosen():
    from vr1_ray.models.packed_attention import PACKED

    assert {attention: name for attention, (name, _) in PACKED.items()} == {
        "sdpa": "packed_sdpa",
        "eager": "packed_by_hand",
        "flash_attention_2": "packed_varlen",
    }
    with pytest.raises(KeyError):
        PACKED["auto"]
