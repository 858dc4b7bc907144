"""Choosing prompts by pass rate, and the data set that comes out: it reads as it was."""

import json
from dataclasses import replace

import pytest

from tests.builders import picture, prompt
from vr1_ray.config import DataConfig, FilterConfig
from vr1_ray.data import DataError, load_prompts
from vr1_ray.data.filtered import (
    count_verdicts,
    pass_rate,
    summary_table,
    verdict_of,
    write_dataset,
)
from vr1_ray.data.prompts import make_prompt
from vr1_ray.types import Rollout, RolloutGroup, Stage

WINDOW = FilterConfig(min_rate=0.25, max_rate=0.75)


def group(*parts: dict) -> RolloutGroup:
    stage = Stage(number=1, max_response_tokens=8, group_size=len(parts), steps=0)
    rollouts = tuple(
        Rollout(
            index=index, attempt=0, seed=0, status="finished", response_ids=(1,), text="",
            reward=own.get("hard_format", 0.0), reward_parts=own,
        )
        for index, own in enumerate(parts)
    )  # fmt: skip
    return RolloutGroup(
        prompt=prompt(1), step=0, stage=stage, policy_version=0, prompt_ids=(1,), rollouts=rollouts
    )


def test_the_pass_rate_is_the_share_of_responses_that_reach_the_mark():
    found = group(
        {"hard_format": 1.0, "accuracy": 1.0},
        {"hard_format": 0.0, "accuracy": 1.0},
        {"hard_format": 0.0, "accuracy": 0.0},
        {"hard_format": 0.0, "accuracy": 0.5},
    )
    assert pass_rate(found, "accuracy", 1.0) == 0.5
    assert pass_rate(found, "accuracy", 0.5) == 0.75
    assert pass_rate(found, "reward", 1.0) == 0.25


def test_a_part_that_no_reward_reports_is_refused_with_those_there_are():
    with pytest.raises(DataError, match=r"filter\.by: 'right' .* hard_format, accuracy"):
        pass_rate(group({"hard_format": 1.0, "accuracy": 1.0}), "right", 1.0)


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(0.0, "too hard"), (0.249, "too hard"), (0.25, "kept"), (0.75, "kept"), (0.751, "too easy"), (1.0, "too easy"), (None, "invalid")],
)  # fmt: skip
def test_both_ends_of_the_window_are_inside(rate, verdict):
    assert verdict_of(rate, WINDOW) == verdict


def test_the_table_counts_each_verdict():
    counts = count_verdicts([0.5, 0.5, 1.0, None], WINDOW)
    assert counts == {"kept": 2, "too easy": 1, "too hard": 0, "invalid": 1}
    table = summary_table(counts, WINDOW).splitlines()
    assert table[0].split() == ["prompts", "4"]
    assert table[1].split()[:3] == ["kept", "2", "50.0%"]
    assert table[3].split()[:4] == ["too", "hard", "0", "0.0%"]


def prompts_of(data: DataConfig, folder) -> list:
    return load_prompts(data, str(folder), "train")


@pytest.mark.parametrize(
    "data",
    [
        DataConfig(),
        DataConfig(prompt_column="q", answer_column="reward_model.ground_truth", images_column="pics"),
    ],
)  # fmt: skip
def test_what_is_written_reads_as_it_was_under_the_same_columns(tmp_path, data):
    own = [
        make_prompt("<image>How many <image> are there?", (picture(1), picture(2)), "3", {"family": "count", "n": [1, 2]}),
        make_prompt("What is 1 + 2?", (), "3.50"),
        make_prompt(r"<image>What do \<image>, <video> and <image_1> mean?", (picture(1),), "é½"),
        make_prompt("<image>Line\nbreak?", (picture(3, (30, 40)),), r"\frac{1}{2}"),
    ]  # fmt: skip
    rates = {one.prompt_id: 0.25 * number for number, one in enumerate(own, start=1)}
    file = write_dataset(tmp_path, own, rates, data)
    for source in (file, tmp_path):
        found = prompts_of(data, source)
        assert [one.prompt_id for one in found] == [one.prompt_id for one in own]
        assert [one.metadata["pass_rate"] for one in found] == [0.25, 0.5, 0.75, 1.0]
        assert {**found[0].metadata, "pass_rate": 0} == {
            "family": "count",
            "n": [1, 2],
            "pass_rate": 0,
        }
    assert len(list((tmp_path / "images").iterdir())) == 3  # each picture once


def test_writing_again_leaves_no_row_of_the_data_set_before(tmp_path):
    own = [make_prompt(f"{number} + 1?", (), str(number + 1)) for number in range(3)]
    rates = {one.prompt_id: 0.5 for one in own}
    write_dataset(tmp_path, own, rates, DataConfig())
    write_dataset(tmp_path, own[1:], rates, DataConfig())
    assert len(prompts_of(DataConfig(), tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "train.jsonl"]


def test_a_data_set_that_reads_as_another_is_refused(tmp_path):
    own = replace(make_prompt("<image>Which?", (picture(1),), "A"), question="<image><image_2>?")
    broken = replace(
        own, question="Which?"
    )  # its picture has lost its mark, so one is put before the text
    with pytest.raises(DataError, match=r"filter\.output: row 0 .* reads as another prompt"):
        write_dataset(tmp_path, [broken], {own.prompt_id: 0.5}, DataConfig())
    assert json.loads((tmp_path / "train.jsonl").read_text())["problem"] == "Which?"
