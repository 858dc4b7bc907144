"""`vr1 init`: what it finds in rows, what it writes, and what it leaves alone."""

import json
from pathlib import Path

import pytest

from tests.unit.data.inputs import RED, RESPONSE
from vr1_ray.cli import main
from vr1_ray.commands.init import init
from vr1_ray.config import DataConfig, check_config, load_config, recipe_runs
from vr1_ray.data import DataError, load_prompts


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own, with pictures in data/ and in images/."""
    monkeypatch.chdir(tmp_path)
    for name in ("data/a.png", "images/b.png", "elsewhere/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(RED)
    return tmp_path


def write(rows, name="data/rows.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def written(rows, name="mine"):
    """The config that is written for the rows, and what is said. The model is not at hand: nothing is measured."""
    said = init(name, data=write(rows), model="none/at_hand")
    config = load_config(f"{name}.yaml")
    check_config(config)
    return config, said


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"problem": "<image>How?", "images": ["a.png"], "answer": "3"}, {}),
        ({"question": "How?", "image": "a.png", "answer": 3}, {}),
        ({"frage": "How many?", "bild": "a.png", "label": "3"},
         {"prompt_column": "frage", "answer_column": "label", "images_column": "bild"}),
        ({"instruction": "How many?", "answer": "3"}, {"prompt_column": "instruction"}),
        ({"problem": "How?", "images": ["b.png"], "answer": "3"}, {"image_root": "images"}),
    ],
)  # fmt: skip
def test_columns_and_the_folder_of_pictures_are_found(here, row, settings):
    config, _ = written([row] * 4)
    assert config.kind == "rl"
    for name in ("prompt_column", "answer_column", "images_column", "image_root"):
        assert getattr(config.data, name) == settings.get(name, getattr(DataConfig(), name))
    prompts = load_prompts(config.data, config.data.train, config.data.split)
    assert len(prompts) == 4
    assert len(prompts[0].images) == ("images" in row or "image" in row or "bild" in row)


def test_whole_paths_get_the_folder_above_them_all(here):
    rows = [
        {"problem": "How?", "images": [str(here / name)], "answer": "3"}
        for name in ("images/b.png", "elsewhere/c.png")
    ]
    config, _ = written(rows)
    assert config.data.image_root == str(here)
    assert len(load_prompts(config.data, config.data.train, "train")) == 2


def test_rows_with_responses_become_a_cold_start_and_then_rl(here):
    config, said = written([{"query": "How?", "response": RESPONSE, "images": ["a.png"]}] * 20)
    cold_start, rl = recipe_runs(config)
    assert (cold_start.kind, rl.kind) == ("sft", "rl")
    assert cold_start.data.demonstrations == [rl.data.train] == ["data/rows.jsonl"]
    assert rl.model.path == "runs/mine/cold_start/policy"
    assert said.startswith("mine.yaml: a cold start on your demonstrations, then GRPO")


def test_what_runs_next_and_what_was_seen_is_said(here):
    _, said = written([{"question": "How?", "image": "a.png", "answer": 3}] * 3)
    assert "data/rows.jsonl: 3 rows, a picture a row" in said
    assert said.endswith("next: vr1 check mine.yaml\nthen: vr1 run mine.yaml")


def test_rows_that_cannot_be_used_are_told_with_the_setting(here):
    good = {"problem": "How?", "answer": "3"}
    _, said = written([good] * 9 + [{"problem": "How?", "answer": ""}])
    assert "1 of the rows looked at can't be used, the first: row 9: answer" in said
    assert "data.bad_rows=skip" in said


def test_a_file_without_a_row_that_can_be_used_is_refused_and_nothing_written(here):
    with pytest.raises(DataError, match=r"no row of data/rows.jsonl can be used.*\n.*none.png"):
        written([{"problem": "How?", "images": ["none.png"], "answer": "3"}])
    assert not Path("mine.yaml").exists()


def test_no_file_is_overwritten(here, capsys):
    Path("mine.yaml").write_text("mine")
    assert main(["init", "mine", "--data", write([{"problem": "How?", "answer": "3"}])]) == 2
    assert "mine.yaml is there already" in capsys.readouterr().err
    assert Path("mine.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["a b", "../a", "a/b", ".hidden", ""])
def test_a_name_that_is_no_run_folder_is_refused(here, name):
    with pytest.raises(ValueError, match="can't be a run's name"):
        init(name)


def test_without_data_the_config_says_what_a_row_is(here):
    said = init("mine")
    check_config(load_config("mine.yaml"))
    assert '# A row: {"question": "<image>How many?"' in Path("mine.yaml").read_text()
    assert "first write your rows to data/train.jsonl" in said


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml", "mine"])
def test_a_name_with_the_suffix_of_a_config_gets_no_second_one(here, name):
    init(name)
    assert [path.name for path in Path().glob("*.y*")] == ["mine.yaml"]
    assert load_config("mine.yaml").name == "mine"


def test_what_the_errors_name_is_taken_and_written(here):
    Path("far").mkdir()
    Path("far/a.png").write_bytes(RED)
    source = write([{"a": "How?", "b": "Why?", "lösung": "3", "bilder": ["a.png"]}], "rows.jsonl")
    with pytest.raises(DataError, match=r"data.image_root.*\n.*given behind the name"):
        init(
            "mine", data=write([{"problem": "How?", "images": ["a.png"], "answer": "3"}], "b.jsonl")
        )
    settings = {
        "prompt_column": "b",
        "answer_column": "lösung",
        "images_column": "bilder",
        "image_root": "far",
    }
    words = [f"data.{name}={value}" for name, value in settings.items()]
    assert main(["init", "mine", "--data", source, "--model", "none/at_hand", *words]) == 0
    data = load_config("mine.yaml").data
    assert {name: getattr(data, name) for name in settings} == settings
    assert load_prompts(data, source, "train")[0].question == "<image>Why?"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--split", "test"], "--split: is of --data; give that too"),
        (["data.image_root=x"], "data.image_root=x: is of --data; give that too"),
        (["seed=1"], "seed: is not taken here, only data.prompt_column, "),
        (["data.max_rows=1"], "data.max_rows: is not taken here"),
        (["--model", "nope"], "--model='nope': there is no such folder"),
        (["--model", "."], "--model='.': the folder has no config.json"),
    ],
)
def test_what_has_no_effect_or_is_no_model_is_refused_and_nothing_written(
    here, words, told, capsys
):
    assert main(["init", "mine", *words]) == 2
    assert told in capsys.readouterr().err
    assert not Path("mine.yaml").exists()


def test_a_model_that_is_not_here_is_told_to_be_taken_for_a_hub_name(here):
    assert "model: own/vl is no folder here, so it is taken for a hub name" in init(
        "mine", model="own/vl"
    )
    assert "hub name" not in init("other")
