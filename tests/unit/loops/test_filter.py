"""`vr1 filter`: what is on disk after any end, and what may change before it goes on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import prompt
from vr1_ray.config import (
    ConfigError,
    DataConfig,
    FilterConfig,
    ModelConfig,
    RunConfig,
    StageConfig,
)
from vr1_ray.config.checks import check_config
from vr1_ray.config.filter import as_filter, response_budget
from vr1_ray.config.schema import CurriculumConfig
from vr1_ray.loops.filter_loop import RATES, PassRates, keep


def config_in(folder: Path, **changes) -> RunConfig:
    stages = [StageConfig(max_response_tokens=24, group_size=4, steps=1)]
    config = RunConfig(
        kind="rl",
        name="run",
        runs_folder=str(folder),
        model=ModelConfig(path="model", max_model_len=256),
        data=DataConfig(train="rows.jsonl", max_prompt_tokens=64),
        curriculum=CurriculumConfig(stages=stages),
    )
    return replace(as_filter(config), **changes)


def lines_of(config: RunConfig) -> list[dict]:
    return [json.loads(line) for line in (config.folder / RATES).read_text().splitlines()]


def test_an_rl_config_filters_in_a_folder_of_its_own_under_the_first_stage_s_cap(tmp_path):
    config = config_in(tmp_path)
    assert (config.kind, config.folder) == ("filter", tmp_path / "run" / "filter")
    assert response_budget(config) == 24
    check_config(config)


def test_pass_rates_are_there_again_when_it_goes_on(tmp_path):
    config = config_in(tmp_path)
    with PassRates(config) as found:
        found.add(prompt(1), 0.5)
        found.add(prompt(2), None)
    with PassRates(config) as found:
        assert found.rates == {"p1": 0.5, "p2": None}
        found.add(prompt(3), 1.0)
    assert [row.get("prompt_id") for row in lines_of(config)] == [None, "p1", "p2", "p3"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_that_a_kill_left_half_written_is_tried_again(tmp_path, cut):
    config = config_in(tmp_path)
    with PassRates(config) as found:
        found.add(prompt(1), 0.5)
        found.add(prompt(2), 0.5)
    path = config.folder / RATES
    path.write_bytes(path.read_bytes()[:-cut])
    with PassRates(config) as found:
        assert found.rates == {"p1": 0.5}
        found.add(prompt(2), 1.0)
    assert [row.get("pass_rate") for row in lines_of(config)] == [None, 0.5, 1.0]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"filter": FilterConfig(num_samples=16)}, r"filter\.num_samples"),
        ({"model": ModelConfig(path="other", max_model_len=256)}, r"model\.path"),
    ],
)
def test_pass_rates_of_another_setting_are_not_gone_on_with(tmp_path, changes, named):
    config = config_in(tmp_path)
    with PassRates(config) as found:
        found.add(prompt(1), 0.5)
    with pytest.raises(ConfigError, match=f"{named}: changed since"):
        PassRates(replace(config, **changes))
    fresh = replace(config, checkpoint=replace(config.checkpoint, resume="never"))
    with PassRates(replace(fresh, **changes)) as found:
        assert found.rates == {}


def test_another_window_asks_nothing_again(tmp_path):
    config = config_in(tmp_path)
    with PassRates(config) as found:
        found.add(prompt(1), 0.5)
    wider = replace(config, filter=FilterConfig(min_rate=0.0, max_rate=1.0))
    with PassRates(wider) as found:
        assert found.rates == {"p1": 0.5}


def test_the_result_counts_every_prompt_and_names_the_data_set(tmp_path, capsys):
    config = config_in(tmp_path)
    prompts = [prompt(seed) for seed in range(1, 5)]
    rates = {"p1": 0.5, "p2": 1.0, "p3": 0.0, "p4": None, "of another file": 0.5}
    result = keep(config, prompts, rates)
    assert result["counts"] == {"kept": 1, "too easy": 1, "too hard": 1, "invalid": 1}
    assert result["mean_pass_rate"] == 0.5
    assert Path(result["dataset"]).read_text().count("\n") == 1
    assert f"data.train={result['dataset']}" in capsys.readouterr().out


def test_no_prompt_inside_the_window_says_so_and_writes_nothing(tmp_path):
    config = config_in(tmp_path)
    with pytest.raises(ConfigError, match=r"filter\.min_rate, max_rate: no prompt"):
        keep(config, [prompt(1)], {"p1": 1.0})
    assert not (config.folder / "dataset").exists()


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"num_samples": 1}, "num_samples"),
        ({"min_rate": 0.8, "max_rate": 0.2}, "min_rate"),
        ({"max_rate": 1.5}, "max_rate: 1.5 must be 0 to 1"),
        ({"max_response_tokens": 250}, "max_response_tokens: 250 does not fit"),
        ({"prompts_at_once": 0}, "prompts_at_once"),
    ],
)
def test_settings_that_can_not_be_are_refused_by_field(tmp_path, own, named):
    with pytest.raises(ConfigError, match=f"filter.{named}"):
        check_config(config_in(tmp_path, filter=FilterConfig(**own)))


def test_greedy_samples_and_a_missing_budget_are_refused(tmp_path):
    greedy = config_in(tmp_path)
    with pytest.raises(ConfigError, match=r"rollout\.temperature: 0 samples equal"):
        check_config(replace(greedy, rollout=replace(greedy.rollout, temperature=0.0)))
    with pytest.raises(ConfigError, match=r"filter\.max_response_tokens: 0, and no stage"):
        check_config(replace(greedy, curriculum=CurriculumConfig()))
