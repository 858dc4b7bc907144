"""Does the policy look at its pictures: the arithmetic, by hand, and the pictures it is shown instead."""

from dataclasses import replace

import pytest

from tests.builders import picture, prompt
from vr1_ray.config import BlindnessConfig, ConfigError, RunConfig, check_config
from vr1_ray.data.blindness import (
    ByPicture,
    Look,
    blindness_alarm,
    blindness_figures,
    blindness_text,
    looks,
    needs_picture,
)
from vr1_ray.data.swapped_pictures import swap_pictures
from vr1_ray.training.looking import Answered, looks_of, prompts_to_ask, units_to_score


def look(own=-0.5, grey=-2.0, other=-1.5, correct=(1, 0, 0)) -> Look:
    return Look(prompt_id="p", correct=ByPicture(*correct), logprob=ByPicture(own, grey, other))


def test_the_drop_is_against_the_kinder_of_the_wrong_pictures():
    assert look(-0.5, -2.0, -1.5).drop == 1.0
    assert look(-0.5, -0.6, -9.0).drop == pytest.approx(0.1)
    assert look(-0.5, -0.4, -0.2).drop == pytest.approx(-0.3)


def test_a_response_that_any_picture_would_do_for_was_not_looked_for():
    assert looks(look(-0.5, -0.51, -0.9), min_drop=0.01)
    assert not looks(look(-0.5, -0.505, -0.9), min_drop=0.01)
    assert not looks(look(float("nan")), min_drop=0.01)


@pytest.mark.parametrize(
    ("correct", "needed"),
    [((1, 0, 0), True), ((1, 1, 0), True), ((1, 0, 1), True), ((1, 1, 1), False), ((0, 1, 1), False), ((0, 0, 0), True)],
)  # fmt: skip
def test_a_question_that_is_right_with_both_wrong_pictures_needs_none(correct, needed):
    assert needs_picture(look(correct=correct), min_drop=0.01) is needed


def test_a_policy_that_does_not_look_needs_no_picture_however_wrong_it_is():
    assert not needs_picture(look(-1, -1, -1, correct=(1, 0, 0)), min_drop=0.01)


def test_the_figures_are_means_over_the_questions():
    found = [
        look(-0.5, -2.0, -1.5, (1, 0, 0)),  # drop 1.0: looks, needs
        look(-0.5, -1.0, -0.75, (1, 1, 1)),  # drop 0.25: looks, needs none
        look(-0.5, -0.5, -1.0, (0, 0, 1)),  # drop 0: does not look
        look(-0.5, -0.25, -1.0, (1, 0, 0)),  # drop -0.25: does not look
    ]
    assert blindness_figures(found, 0.01) == {
        "blindness/looks_rate": 0.5,
        "blindness/needs_picture_rate": 0.25,
        "blindness/logprob_drop": 0.25,
        "blindness/questions": 4.0,
        "blindness/accuracy": 0.75,
        "blindness/accuracy_grey": 0.25,
        "blindness/accuracy_other": 0.5,
        "blindness/logprob": -0.5,
        "blindness/logprob_grey": -0.9375,
        "blindness/logprob_other": -1.0625,
    }
    assert blindness_figures([], 0.01) == {}


def test_the_alarm_comes_at_the_limit_and_not_above_it():
    blind = blindness_figures([look(), *[look(-1, -1, -1)] * 7], 0.01)  # one of eight looks
    assert "only in 12% of 8 questions" in blindness_alarm(blind, 0.125)
    assert blindness_alarm(blind, 0.12) == ""
    assert blindness_alarm({}, 0.125) == ""


def test_what_was_found_is_one_line():
    text = blindness_text(blindness_figures([look()], 0.01))
    assert text == (
        "100% of 1 questions need their picture; accuracy 1.00 with the picture, 0.00 with a grey one, 0.00 with "
        "another's; log-probability a token -0.500 with the picture, -2.000 with a grey one, -1.500 with another's"
    )


def test_each_prompt_is_shown_grey_and_another_s_picture_of_its_own_size():
    prompts = [prompt(1, size=(84, 56)), prompt(2, size=(140, 140))]
    first, second = swap_pictures(prompts, 8)
    assert [one.own.prompt_id for one in (first, second)] == ["p1", "p2"]
    assert first.grey.images[0].shown_size() == first.other.images[0].shown_size() == (84, 56)
    assert first.grey.images[0].decode().getcolors() == [(84 * 56, (128, 128, 128))]
    theirs = prompts[1].images[0].decode().resize((84, 56))
    assert first.other.images[0].decode().tobytes() == theirs.tobytes()
    assert (first.other.question, first.other.answer) == (prompts[0].question, "3")
    assert len({one.prompt_id for one in prompts_to_ask([first, second])}) == 6


def test_a_prompt_of_two_pictures_gets_two_of_others():
    one, two, four = prompt(1), prompt(2, num_images=2), prompt(3, num_images=4)
    swapped = {item.own.prompt_id: item for item in swap_pictures([one, two, four], 3)}
    assert [len(swapped[key].other.images) for key in ("p1", "p2", "p3")] == [1, 2, 4]
    assert len({image.content_hash for image in swapped["p2"].other.images}) == 2


def test_text_rows_and_rows_without_a_different_picture_are_not_asked():
    text = replace(prompt(1), images=(), question="What is 1 + 2?")
    same = [replace(prompt(2), prompt_id=name, images=(picture(9),)) for name in "ab"]
    assert swap_pictures([text], 8) == []
    assert swap_pictures(same, 8) == []
    assert swap_pictures([], 8) == []


def test_the_prompts_asked_are_spread_over_the_data_and_always_the_same():
    prompts = [prompt(seed) for seed in range(10)]
    asked = [one.own.prompt_id for one in swap_pictures(prompts, 4)]
    assert asked == ["p0", "p2", "p5", "p7"]
    assert asked == [one.own.prompt_id for one in swap_pictures(prompts, 4)]


def test_another_s_picture_has_another_answer_where_there_is_one():
    same, different = prompt(2), replace(prompt(3), answer="5")
    swapped = swap_pictures([prompt(1), same, different], 3)[0]
    assert swapped.other.images[0].decode().tobytes() == different.images[0].decode().tobytes()


def test_the_response_of_the_own_picture_is_scored_under_all_three():
    swapped = swap_pictures([prompt(1), prompt(2)], 2)
    responses = [(5, 9, 2), (7, 2), (8, 2), (), (7, 2), (8, 2)]  # p2 wrote nothing
    answered = [
        Answered(prompt=one, prompt_ids=(1, 4), response_ids=ids, text=text)
        for one, ids, text in zip(
            prompts_to_ask(swapped), responses, ["3", "<answer> 3 </answer>", "4"] * 2, strict=True
        )
    ]
    [unit] = units_to_score(answered)
    assert [row.response_ids for row in unit] == [(5, 9, 2)] * 3
    assert [row.row_id for row in unit] == ["p1", "p1-grey", "p1-other"]
    assert len({row.image_hashes for row in unit}) == 3
    logprobs = {"p1": (-1.0, 0.0, -0.5), "p1-grey": (-3.0,) * 3, "p1-other": (-2.0, -2.0, -5.0)}
    [found] = looks_of(answered, logprobs)
    assert found == Look(
        prompt_id="p1", correct=ByPicture(1, 1, 0), logprob=ByPicture(-0.5, -3.0, -3.0)
    )


@pytest.mark.parametrize(
    "changes",
    [{"num_prompts": 1}, {"max_response_tokens": -1}, {"min_logprob_drop": 0}, {"alarm_looks_rate": 1.5}],
)  # fmt: skip
def test_settings_that_can_not_be_are_refused_by_field(changes):
    config = RunConfig(kind="eval", name="x", blindness=BlindnessConfig(**changes))
    with pytest.raises(ConfigError, match=f"blindness.{next(iter(changes))}: "):
        check_config(config)
