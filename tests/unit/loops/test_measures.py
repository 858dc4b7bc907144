"""The figures of a step and of an evaluation, worked out by hand."""

import pytest

from vr1_ray.config import ModelConfig, RunConfig, TrainerConfig
from vr1_ray.loops.measures import (
    evaluation_metrics,
    group_metrics,
    judged,
    logprob_alarms,
    name_errors,
)
from vr1_ray.types import Prompt, Rollout, RolloutGroup, Stage

RIGHT = "<think> 1 + 2 = 3. </think><answer> Final Answer:3 </answer>"
STAGE = Stage(number=1, max_response_tokens=8, group_size=2, steps=1)


def rollout(index: int, *, reward: float, tokens: int, status: str = "finished", text: str = RIGHT):
    return Rollout(
        index=index,
        attempt=0,
        seed=index,
        status=status,
        response_ids=(1,) * tokens,
        text=text,
        reward=reward,
        reward_parts={"format": float(status == "finished"), "accuracy": reward},
    )


def group(prompt_id: str, *rollouts: Rollout) -> RolloutGroup:
    return RolloutGroup(
        prompt=Prompt(prompt_id=prompt_id, question="How many?", answer="3"),
        step=1,
        stage=STAGE,
        policy_version=0,
        prompt_ids=(1,),
        rollouts=rollouts,
        reward_seconds=0.25,
    )


def test_a_steps_metrics_are_means_over_rollouts_and_groups():
    mixed = group(
        "a", rollout(0, reward=1, tokens=4), rollout(1, reward=0, tokens=8, status="truncated")
    )
    solved = group("b", rollout(0, reward=1, tokens=2), rollout(1, reward=1, tokens=6))
    metrics = group_metrics([mixed, solved])
    assert metrics["reward/mean"] == 0.75
    assert metrics["response_tokens/mean"] == 5.0  # (4 + 8 + 2 + 6) / 4
    assert metrics["response_tokens/max"] == 8
    assert metrics["truncation_rate"] == 0.25
    assert metrics["format_rate"] == 0.75
    assert metrics["informative_group_rate"] == 0.5  # only the first group's rewards differ
    assert metrics["time/reward"] == 0.5


def test_groups_of_different_sizes_weigh_by_their_rollouts():
    large = group("a", *[rollout(i, reward=1, tokens=1) for i in range(3)])
    small = group("b", rollout(0, reward=0, tokens=1))
    assert group_metrics([large, small])["reward/mean"] == 0.75


def test_a_group_that_is_not_scored_is_refused():
    unscored = Rollout(
        index=0, attempt=0, seed=0, status="finished", response_ids=(1,), text="", reward=None
    )
    with pytest.raises(ValueError, match="prompt a: rollouts \\[0\\] have no reward"):
        group_metrics([group("a", unscored)])


@pytest.mark.parametrize(
    ("text", "status", "correct", "hard", "well_formed"),
    [
        (RIGHT, "finished", True, 1.0, True),
        (RIGHT, "truncated", True, 0.0, False),  # the end token did not fit
        ("3", "finished", True, 0.0, False),  # a base model that answers plainly
        (RIGHT.replace("Answer:3", "Answer:4"), "finished", False, 0.0, True),
    ],
)
def test_accuracy_reads_the_answer_and_the_hard_reward_wants_the_format_too(
    text, status, correct, hard, well_formed
):
    row = judged(group("a", rollout(0, reward=0, tokens=3, status=status, text=text)))
    assert (row["correct"], row["hard_reward"], row["well_formed"]) == (correct, hard, well_formed)


def test_an_evaluations_figures_are_means_over_questions():
    rows = [
        judged(group("a", rollout(0, reward=1, tokens=4))),
        judged(group("b", rollout(0, reward=0, tokens=8, status="truncated", text="<think> 1"))),
    ]
    assert evaluation_metrics(rows) == {
        "accuracy": 0.5,
        "hard_reward": 0.5,
        "format_rate": 0.5,
        "mean_response_tokens": 6.0,
        "truncation_rate": 0.5,
    }


def first_word(row):
    return row["response"].split()[0] if row["response"] != RIGHT else ""


def test_wrong_answers_get_the_error_that_the_named_diagnosis_sees():
    rows = [
        judged(group("a", rollout(0, reward=1, tokens=4))),
        judged(group("b", rollout(0, reward=0, tokens=8, status="truncated", text="<think> 1"))),
        judged(group("c", rollout(0, reward=0, tokens=8, status="truncated", text=RIGHT))),
    ]
    name_errors(rows, f"{__name__}:first_word")
    assert [row.get("error") for row in rows] == [None, "<think>", None]


def broken(row):
    raise KeyError("figure")


def number(row):
    return 5


def test_a_broken_diagnosis_costs_its_word_and_not_the_evaluation():
    for name, word in (("broken", "failed: KeyError"), ("number", "gave no text")):
        rows = [judged(group("b", rollout(0, reward=0, tokens=8, status="truncated", text="1")))]
        name_errors(rows, f"{__name__}:{name}")
        assert rows[0]["error"] == f"eval.diagnosis={__name__}:{name} {word}"


def test_without_a_diagnosis_no_row_has_an_error():
    rows = [judged(group("b", rollout(0, reward=0, tokens=8, status="truncated", text="1")))]
    name_errors(rows, "")
    assert "error" not in rows[0]


def alarms(mean: float, p99: float, largest: float, **trainer: float) -> list[str]:
    config = RunConfig(
        kind="rl", model=ModelConfig(dtype="bfloat16"), trainer=TrainerConfig(**trainer)
    )
    metrics = {"logprob_diff/mean": mean, "logprob_diff/p99": p99, "logprob_diff/max": largest}
    return logprob_alarms(metrics, config)


def test_one_token_that_rounding_moved_far_is_no_alarm_and_all_of_them_moved_a_little_is():
    assert alarms(0.02, 0.1, 3.0) == []
    [mean] = alarms(0.2, 0.4, 0.45)
    assert "logprob_diff/mean 0.2 nats" in mean
    assert [alarm for alarm in alarms(0.02, 0.9, 0.9) if "logprob_diff/p99" in alarm]
    assert len(alarms(float("nan"), 64.0, float("nan"))) == 2


def test_the_limits_are_the_configs_where_it_has_some():
    assert alarms(0.2, 0.4, 0.5, alarm_logprob_mean=0.3) == []
    assert len(alarms(0.02, 0.1, 0.5, alarm_logprob_mean=0.01, alarm_logprob_p99=0.05)) == 2


def test_a_step_that_compared_nothing_has_no_alarm():
    assert logprob_alarms({"loss": 1.0}, RunConfig(kind="rl")) == []
