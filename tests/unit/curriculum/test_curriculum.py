import json

import pytest

from vr1_ray.config import CurriculumConfig, StageConfig
from vr1_ray.curriculum import make_curriculum


def config(*stages, name="ptst"):
    return CurriculumConfig(
        name=name,
        stages=[
            StageConfig(max_response_tokens=cap, group_size=size, steps=steps, enabled=enabled)
            for cap, size, steps, enabled in stages
        ],
    )


TWO = config((96, 16, 2, True), (192, 8, 1, True), (384, 4, 9, False))


def metrics(length=50.0, **others):
    usual = {"response_tokens/mean": length, "response_tokens/max": 96.0, "truncation_rate": 0.5}
    return usual | {"informative_group_rate": 0.5, "accuracy": 0.25, "reward/mean": 0.2} | others


def test_stages_follow_each_other_by_steps_and_disabled_ones_are_left_out():
    curriculum = make_curriculum(TWO)
    seen = []
    while not curriculum.is_finished():
        step, stage = curriculum.begin_step()
        seen.append((step, stage.number, stage.max_response_tokens, stage.group_size))
    assert seen == [(1, 1, 96, 16), (2, 1, 96, 16), (3, 2, 192, 8)]
    assert [curriculum.is_stage_change(step) for step in (1, 2, 3)] == [False, False, True]
    assert (curriculum.total_steps, curriculum.longest_stage.max_response_tokens) == (3, 192)
    with pytest.raises(ValueError, match="all 3 steps are begun"):
        curriculum.begin_step()


def test_a_late_observation_counts_for_the_stage_its_step_had():
    curriculum = make_curriculum(TWO)
    for _ in range(3):
        curriculum.begin_step()
    for step, length in ((3, 150.0), (1, 80.0), (2, 60.0)):
        curriculum.observe(step, metrics(length))
    first, second = curriculum.summary()
    assert (first["mean_response_tokens"], second["mean_response_tokens"]) == (70.0, 150.0)
    assert (first["steps_seen"], first["accuracy"], first["longest_response"]) == (2, 0.25, 96.0)


def test_a_step_is_observed_once_and_only_after_it_began():
    curriculum = make_curriculum(TWO)
    with pytest.raises(ValueError, match="step 1 was not begun"):
        curriculum.observe(1, metrics())
    curriculum.begin_step()
    curriculum.observe(1, metrics())
    with pytest.raises(ValueError, match="observed before"):
        curriculum.observe(1, metrics())


def test_alarms_are_raised_once_while_they_last():
    curriculum = make_curriculum(config((96, 16, 9, True)))
    raised = []
    for truncated in (0.99, 1.0, 0.5, 0.98):
        step, _ = curriculum.begin_step()
        curriculum.observe(step, metrics(truncation_rate=truncated))
        raised.append(len(curriculum.alarms()))
    assert raised == [1, 0, 0, 1]
    step, _ = curriculum.begin_step()
    curriculum.observe(step, metrics(informative_group_rate=0.0))
    assert "group_size" in curriculum.alarms()[0]


def test_a_restored_curriculum_goes_on_as_the_first_would():
    first, second = make_curriculum(TWO), make_curriculum(TWO)
    for _ in range(2):
        step, _ = first.begin_step()
        first.observe(step, metrics(truncation_rate=1.0))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.summary() == first.summary()
    assert second.metrics() == {
        "stage": 1,
        "max_response_tokens": 96,
        "group_size": 16,
        "stage_step": 2,
    }
    assert second.begin_step() == first.begin_step()
    assert second.state_dict() == first.state_dict()


def test_a_state_with_other_fields_or_other_stages_is_refused():
    curriculum = make_curriculum(TWO)
    curriculum.begin_step()
    with pytest.raises(ValueError, match="surprise"):
        curriculum.load_state_dict(curriculum.state_dict() | {"surprise": 1})
    with pytest.raises(ValueError, match="the checkpoint began"):
        make_curriculum(config((64, 16, 2, True))).load_state_dict(curriculum.state_dict())


def test_a_stage_can_be_left_early():
    curriculum = make_curriculum(TWO)
    curriculum.begin_step()
    curriculum.leave_stage(1)
    assert curriculum.begin_step()[1].number == 2


def test_a_constant_curriculum_has_one_stage():
    assert make_curriculum(config((96, 16, 2, True), name="constant")).total_steps == 2
    with pytest.raises(ValueError, match="takes one"):
        make_curriculum(config((96, 16, 2, True), (192, 8, 2, True), name="constant"))


def test_wrong_settings_are_refused_by_name():
    with pytest.raises(
        ValueError, match=r"curriculum.name='linear' is unknown; known: constant, ptst"
    ):
        make_curriculum(config((96, 16, 2, True), name="linear"))
    with pytest.raises(ValueError, match="none is enabled"):
        make_curriculum(config())


def test_an_early_end_is_told_with_its_cause_and_outlives_a_checkpoint():
    curriculum = make_curriculum(TWO)
    curriculum.begin_step()
    assert curriculum.early_ends() == []
    curriculum.leave_stage(1, reason="solved")
    curriculum.leave_stage(2)  # not begun: skipped
    ends = [
        "stage 1 ended after 1 of 2 steps: solved",
        "stage 2 ended after 0 of 1 step: its curriculum gives no reason",
    ]
    assert curriculum.early_ends() == ends
    assert curriculum.is_finished()
    again = make_curriculum(TWO)
    again.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert again.early_ends() == ends
    older = curriculum.state_dict() | {"left": [[1, 1]]}  # of a version without reasons
    again.load_state_dict(older)
    assert again.early_ends() == [
        "stage 1 ended after 1 of 2 steps: its curriculum gives no reason"
    ]


def test_a_stage_that_has_all_its_steps_did_not_end_early():
    curriculum = make_curriculum(TWO)
    curriculum.begin_step()
    curriculum.begin_step()
    curriculum.leave_stage(1, reason="solved")
    assert curriculum.early_ends() == []
