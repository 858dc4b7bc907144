"""A cold start on demonstrations that RL would pay nothing for is refused before a model is loaded, and counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.preflight.test_inputs import MODEL, png, refusal
from vr1_ray.commands.check import run_check
from vr1_ray.config import ConfigError, DataConfig, ModelConfig, RewardSpec, RunConfig, StageConfig
from vr1_ray.config.checks import check_config
from vr1_ray.config.schema import CurriculumConfig
from vr1_ray.data import load_demonstrations
from vr1_ray.figure_math.dataset import write_dataset
from vr1_ray.preflight import read_inputs
from vr1_ray.preflight.cold_start import examine, length_line, length_row, run_ahead

GOOD = "<think> Three bars. </think><answer> Final Answer:3 </answer>"
BARE = "The answer is 3."
WRONG = "<think> Four bars. </think><answer> 4 </answer>"


def sft_config(folder: Path, *responses: str, **row) -> RunConfig:
    """A cold start on one demonstration a response; `row` are columns that each has besides."""
    (folder / "figure.png").write_bytes(png())
    rows = [
        {
            "image": "figure.png",
            "conversations": [
                {"from": "human", "value": f"<image>How many {number}?"},
                {"from": "gpt", "value": response},
            ],
            **row,
        }
        for number, response in enumerate(responses)
    ]
    path = folder / "demonstrations.json"
    path.write_text(json.dumps(rows))
    return RunConfig(
        kind="sft",
        name="demo",
        prompts_per_step=1,
        model=ModelConfig(path=MODEL, max_model_len=256),
        data=DataConfig(demonstrations=[str(path)], cutoff_len=256),
    )


def with_share(config: RunConfig, share: float) -> RunConfig:
    return replace(config, data=replace(config.data, max_unrewarded_share=share))


def taught(config: RunConfig, ahead: RunConfig | None = None):
    return examine(load_demonstrations(config.data), config, ahead)


def rl_run(**changes) -> RunConfig:
    stages = [
        StageConfig(max_response_tokens=99, group_size=2, steps=1, enabled=False),
        StageConfig(max_response_tokens=12, group_size=2, steps=1),
    ]
    curriculum = CurriculumConfig(stages=stages)
    return replace(RunConfig(kind="rl", name="r/rl", curriculum=curriculum), **changes)


def test_one_in_four_without_the_format_is_refused_by_field_share_row_and_cure(tmp_path):
    config = sft_config(tmp_path, GOOD, GOOD, BARE, GOOD)
    message = refusal(config)
    assert message.startswith("data.max_unrewarded_share: 0.1, but 1 of 4 demonstrations (25.0%)")
    assert f"{config.data.demonstrations[0]}, row 2: no format, 'The answer is 3.'" in message
    assert "data.max_unrewarded_share=1" in message


def test_a_share_of_one_turns_the_refusal_off_and_the_log_still_counts(tmp_path):
    config = with_share(sft_config(tmp_path, BARE, BARE), 1.0)
    inputs = read_inputs(config)
    assert len(inputs.demonstrations) == 2
    assert inputs.notes[1].startswith("of 2 demonstrations 2 without the format, no reference")


def test_exactly_the_share_is_still_taken(tmp_path):
    config = with_share(sft_config(tmp_path, GOOD, GOOD, BARE, GOOD), 0.25)
    assert read_inputs(config)
    assert "1 of 4" in refusal(with_share(config, 0.24))


def test_a_wrong_answer_counts_where_the_row_has_the_right_one(tmp_path):
    found = taught(sft_config(tmp_path, GOOD, WRONG, BARE, GOOD, answer="3"))
    assert (found.num_known, len(found.wrong), len(found.formless)) == (4, 1, 1)
    assert found.share == 0.5
    assert [one.source.rsplit(", ")[1] for one, _ in found.unrewarded] == ["row 2", "row 1"]
    assert found.unrewarded[1][1] == "answers '4', not '3'"


@pytest.mark.parametrize("answer", [None, "", [[1], [2]], float("nan"), "a proof " * 40])
def test_a_reference_that_nobody_can_compare_with_counts_as_not_known(tmp_path, answer):
    assert taught(sft_config(tmp_path, WRONG, answer=answer)).num_known == 0


def test_a_reference_inside_a_struct_is_known(tmp_path):
    found = taught(sft_config(tmp_path, WRONG, reward_model={"ground_truth": 3}))
    assert (found.num_known, len(found.wrong)) == (1, 1)


def test_tags_are_the_reward_s_own(tmp_path):
    """What looks like the format, and earns no format reward."""
    twice = GOOD + "<answer> 3 </answer>"
    capital = GOOD.replace("<think>", "<Think>")
    empty = "<think> x </think><answer>  </answer>"
    after = GOOD + " So it is."
    assert len(taught(sft_config(tmp_path, twice, capital, empty, after)).formless) == 4


def test_a_run_ahead_that_pays_for_no_format_asks_for_none(tmp_path):
    own = rl_run(rewards=[RewardSpec(name="my_rewards:boxed")])
    found = taught(sft_config(tmp_path, BARE), own)
    assert (found.share, found.has_format_reward) == (0.0, False)
    assert "format not counted" in found.line()
    assert taught(sft_config(tmp_path, BARE), rl_run()).share == 1.0
    unpaid = rl_run(rewards=[RewardSpec(name="hard_format", weight=0.0)])
    assert taught(sft_config(tmp_path, BARE), unpaid).share == 0.0


def test_rows_without_a_picture_are_counted(tmp_path):
    config = sft_config(tmp_path, GOOD, GOOD)
    rows = json.loads(Path(config.data.demonstrations[0]).read_text())
    del rows[1]["image"]
    rows[1]["conversations"][0]["value"] = "What is 1 + 2?"
    Path(config.data.demonstrations[0]).write_text(json.dumps(rows))
    assert [one.source.rsplit(", ")[1] for one in taught(config).pictureless] == ["row 1"]


def test_lengths_are_told_against_the_first_enabled_stage_of_the_run_ahead(tmp_path):
    long = GOOD.replace("Three", "Three " * 10)
    inputs = read_inputs(sft_config(tmp_path, GOOD, long), ahead=rl_run())
    assert "over stage 1's 12" in inputs.notes[1]
    lengths = [(40, 10), (40, 12), (40, 13), (40, 21)]  # 13 and 21 of four are over 12
    assert length_line(lengths, 12) == "responses 10 to 21 tokens, mean 14; 2 over stage 1's 12"
    assert length_line(lengths, None) == "responses 10 to 21 tokens, mean 14"
    assert length_row(lengths, 12, alarm_share=0.5).status == "warning"
    assert length_row(lengths, 12, alarm_share=0.51).status == "ok"


def test_the_run_ahead_is_the_next_one_that_starts_from_its_policy(tmp_path):
    cold = RunConfig(kind="sft", name="r/cold", runs_folder="runs")
    other = rl_run(name="r/zero")
    own = rl_run(model=ModelConfig(path="runs/r/cold/policy"))
    assert run_ahead([other, cold, own], cold) is own
    assert run_ahead([cold, other, own], cold) is own
    assert run_ahead([cold, other], cold) is other
    assert run_ahead([other, cold], cold) is None


def test_the_check_shows_every_count_beside_the_refusal(tmp_path):
    config = replace(
        sft_config(tmp_path, GOOD, BARE), runs_folder=str(tmp_path), curriculum=rl_run().curriculum
    )
    rows = {row.name: row for row in run_check(config)}
    assert rows["demonstrations: unrewarded"].status == "bad"
    assert "row 1: no format" in rows["demonstrations: unrewarded"].cure
    assert rows["demonstrations: format"].value == "1 without the format"
    assert "of 12" not in rows["data.demonstrations"].value
    assert rows["demonstrations: lengths"].limit == "12"


def test_the_quickstart_s_own_demonstrations_all_earn_their_reward(tmp_path):
    write_dataset(
        tmp_path, seed=0, num_train=1, num_validation=1, num_test=1, num_demonstrations=60
    )
    data = DataConfig(demonstrations=[str(tmp_path / "demonstrations.json")])
    found = examine(load_demonstrations(data), RunConfig(kind="sft"))
    assert (found.num_rows, found.share, found.pictureless) == (60, 0.0, [])


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(tmp_path, share):
    with pytest.raises(ConfigError, match=r"data\.max_unrewarded_share: .* must be 0 to 1"):
        check_config(with_share(sft_config(tmp_path, GOOD), share))
