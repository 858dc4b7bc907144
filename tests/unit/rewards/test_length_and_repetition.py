import pytest

from tests.unit.rewards.samples import reward_input
from vr1_ray.config import RewardSpec
from vr1_ray.rewards import combine, make_rewards, overlong_penalty, repeated_share


@pytest.mark.parametrize(
    ("num_tokens", "penalty"),
    [(0, 0.0), (80, 0.0), (85, -0.25), (90, -0.5), (100, -1.0), (120, -1.0)],
)
def test_the_penalty_falls_linearly_over_the_buffer_to_minus_1(num_tokens, penalty):
    assert overlong_penalty(num_tokens, max_tokens=100, buffer_tokens=20) == pytest.approx(penalty)


def test_dapos_own_numbers_start_at_16384_tokens_and_end_at_20480():
    assert overlong_penalty(16384, 20480, 0.2 * 20480) == 0.0
    assert overlong_penalty(18432, 20480, 0.2 * 20480) == -0.5
    assert overlong_penalty(20480, 20480, 0.2 * 20480) == -1.0


def test_the_penalty_moves_with_the_budget_of_the_stage():
    rewards = make_rewards([RewardSpec(name="length_shaping", options={"buffer_share": 0.5})])
    ids = range(9)
    in_short = combine(rewards, reward_input(ids=ids, max_response_tokens=12))
    in_long = combine(rewards, reward_input(ids=ids, max_response_tokens=18))
    assert in_short.value == -0.5  # the buffer is (6, 12], 9 is half way
    assert in_short.parts["length_shaping/overlong"] == 1.0
    assert in_long.value == 0.0  # the buffer is (9, 18]
    assert in_long.parts["length_shaping/overlong"] == 0.0


@pytest.mark.parametrize(
    ("ids", "ngram_tokens", "share"),
    [
        ([], 2, 0.0),
        ([1], 2, 0.0),
        ([1, 2], 2, 0.0),
        ([1, 2, 3, 4], 2, 0.0),
        ([1, 1, 1, 1, 1], 2, 0.75),  # (1,1) four times: 1 of 4 differs
        ([1, 2, 1, 2, 1], 2, 0.5),  # (1,2) (2,1) (1,2) (2,1)
        ([1, 2, 1, 2, 1], 4, 0.0),
        ([7, 7, 8], 1, 1 / 3),
    ],
)
def test_the_repeated_share_counts_n_grams_said_before(ids, ngram_tokens, share):
    assert repeated_share(ids, ngram_tokens) == pytest.approx(share)


def test_repetition_is_a_penalty():
    rewards = make_rewards([RewardSpec(name="repetition", weight=2, options={"ngram_tokens": 2})])
    output = combine(rewards, reward_input(ids=[1, 2, 1, 2, 1]))
    assert output.value == -1.0
    assert output.parts == {"repetition": -0.5, "repetition/repeated_share": 0.5}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("length_shaping", {"buffer_share": 0.0}, r"rewards\[0\]\.options.*buffer_share=0\.0"),
        ("length_shaping", {"buffer_share": 1.5}, r"buffer_share=1\.5"),
        ("repetition", {"ngram_tokens": 0}, r"rewards\[0\]\.options.*ngram_tokens=0"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_rewards([RewardSpec(name=name, options=options)])
