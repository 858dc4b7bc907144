"""A user's mistakes show before anything is started, each as one message with field, value and cure."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Picture

from vr1_ray.config import DataConfig, EvalConfig, ModelConfig, RewardSpec, RunConfig, StageConfig
from vr1_ray.config.schema import AlgorithmConfig, CurriculumConfig
from vr1_ray.preflight import read_inputs

MODEL = str(Path("examples/vr1_tiny/model").resolve())


def png(size: tuple[int, int] = (84, 84)) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", size, "red").save(buffer, format="PNG")
    return buffer.getvalue()


def write_rows(folder: Path, *changes: dict) -> str:
    """A parquet of four sound rows, the last ones changed."""
    rows = [
        {
            "images": [{"bytes": png(), "path": None}],
            "problem": f"<image>How many {n}?",
            "answer": "1",
        }
        for n in range(4)
    ]
    for place, change in enumerate(changes, start=1):
        rows[-place] |= change
    features = Features(
        {"images": List(Image(decode=False)), "problem": Value("string"), "answer": Value("string")}
    )
    path = folder / "rows.parquet"
    Dataset.from_list(rows, features=features).to_parquet(path)
    return str(path)


def rl_config(data: str, **changes) -> RunConfig:
    config = RunConfig(
        kind="rl",
        name="demo",
        prompts_per_step=2,
        allow_base_policy=True,
        model=ModelConfig(path=MODEL, max_model_len=256),
        data=DataConfig(train=data, max_prompt_tokens=64),
        curriculum=CurriculumConfig(
            stages=[StageConfig(max_response_tokens=32, group_size=2, steps=1)]
        ),
    )
    return replace(config, **changes)


def refusal(config: RunConfig) -> str:
    with pytest.raises(ValueError, match=r"\S") as raised:
        read_inputs(config)
    return str(raised.value)


def test_a_sound_run_passes_and_says_what_it_found(tmp_path):
    inputs = read_inputs(rl_config(write_rows(tmp_path)))
    assert len(inputs.prompts) == 4
    assert inputs.notes[0] == "4 prompts, 0 skipped as too long"


def test_a_missing_model_is_refused_with_its_path(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), model=ModelConfig(path="no/such/model")))
    assert "model.path" in message
    assert "no/such/model" in message


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), model=ModelConfig(path=str(tmp_path))))
    assert "model.path" in message


def test_a_missing_dataset_is_refused_with_its_path(tmp_path):
    message = refusal(rl_config(str(tmp_path / "none.parquet")))
    assert "data.train" in message
    assert "none.parquet" in message


def test_a_row_without_answer_is_refused_by_its_number(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path, {"answer": ""})))
    assert "row 3" in message
    assert "answer" in message


def test_an_image_that_is_no_picture_is_refused(tmp_path):
    rows = write_rows(tmp_path, {"images": [{"bytes": b"not a picture", "path": None}]})
    assert "row 3" in refusal(rl_config(rows))


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    rows = write_rows(tmp_path, {"images": [{"bytes": png((400, 400)), "path": None}]})
    config = rl_config(rows)
    message = refusal(replace(config, data=replace(config.data, max_image_pixels=90_000)))
    assert "max_image_pixels" in message
    assert "row 3" in message


def test_an_image_path_that_leaves_the_data_folder_is_refused(tmp_path):
    rows = tmp_path / "rows.jsonl"
    row = {"images": ["../../etc/passwd"], "problem": "<image>How many?", "answer": "1"}
    rows.write_text("\n".join([json.dumps(row)] * 2))
    message = refusal(rl_config(str(rows)))
    assert "../../etc/passwd" in message


@pytest.mark.parametrize("field", ["data.train", "eval.data"])
def test_a_row_with_more_images_than_engines_are_set_to_take_is_refused(tmp_path, field):
    five = {"images": [{"bytes": png((28, 28)), "path": None}] * 5, "problem": "<image>" * 5 + "?"}
    sound, rows = tmp_path / "sound", tmp_path / "rows"
    sound.mkdir()
    rows.mkdir()
    data = {"data.train": write_rows(sound), "eval.data": write_rows(sound)}
    data[field] = write_rows(rows, five)
    config = rl_config(data["data.train"], eval=EvalConfig(data=data["eval.data"]))
    assert read_inputs(config)  # by default there is room for eight
    message = refusal(replace(config, model=replace(config.model, max_images=4)))
    assert message.startswith(f"{field}: {data[field]} has rows that can't be used")
    assert (
        "row 3: images: 5 images, over model.max_images=4; raise the limit, or drop the row"
        in message
    )


def test_image_marks_that_do_not_match_the_images_are_refused(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path, {"problem": "<image><image>Same?"})))
    assert "row 3" in message
    assert "<image>" in message


def test_a_prompt_over_the_limit_is_skipped_and_counted(tmp_path):
    rows = write_rows(tmp_path, {"problem": "<image>" + "How many squares are there? " * 40})
    inputs = read_inputs(rl_config(rows))
    assert (len(inputs.prompts), inputs.num_left_out) == (3, 1)
    assert inputs.notes[0] == "3 prompts, 1 skipped as too long"


def test_a_prompt_over_the_limit_is_refused_if_the_config_says_so(tmp_path):
    rows = write_rows(tmp_path, {"problem": "<image>" + "How many squares are there? " * 40})
    config = rl_config(rows)
    strict = replace(config, data=replace(config.data, overlong_prompts="error"))
    assert "max_prompt_tokens" in refusal(strict)


def test_more_prompts_a_step_than_there_are_is_refused(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), prompts_per_step=16))
    assert "prompts_per_step: 16" in message


def test_an_unknown_reward_is_refused_with_the_known_ones(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), rewards=[RewardSpec(name="hard_fromat")]))
    assert "hard_fromat" in message
    assert "hard_format" in message


def test_an_unknown_algorithm_is_refused_with_the_known_ones(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), algorithm=AlgorithmConfig(name="ppo")))
    assert "ppo" in message
    assert "grpo" in message


def test_a_missing_evaluation_set_names_its_own_field(tmp_path):
    config = rl_config(write_rows(tmp_path), eval=EvalConfig(data="no/such/data"))
    assert "eval.data" in refusal(config)


def test_rl_from_a_policy_without_cold_start_says_how_to_get_one(tmp_path):
    message = refusal(rl_config(write_rows(tmp_path), allow_base_policy=False))
    assert "vr1 sft" in message
    assert "allow_base_policy=true" in message


def test_demonstrations_longer_than_the_cutoff_are_dropped_never_cut(tmp_path):
    (tmp_path / "figure.png").write_bytes(png())
    short = "<think> Bars. </think><answer> Final Answer:3 </answer>"
    long = "<think> " + "Bars. " * 200 + "</think><answer> Final Answer:3 </answer>"
    rows = [
        {
            "id": str(number),
            "image": "figure.png",
            "conversations": [
                {"from": "human", "value": f"<image>How many {number}?"},
                {"from": "gpt", "value": response},
            ],
        }
        for number, response in enumerate([short, short, long])
    ]
    path = tmp_path / "demonstrations.json"
    path.write_text(json.dumps(rows))
    data = DataConfig(demonstrations=[str(path)], cutoff_len=100)
    config = replace(rl_config(""), kind="sft", data=data)
    inputs = read_inputs(config)
    assert [one.response for one in inputs.demonstrations] == [short, short]
    assert inputs.notes[0] == "2 demonstrations, 1 dropped as too long"


def test_a_diagnosis_that_is_not_there_is_refused_by_its_field(tmp_path):
    config = rl_config(write_rows(tmp_path), eval=EvalConfig(diagnosis="no.such:function"))
    assert "eval.diagnosis='no.such:function' can't be loaded" in refusal(config)


@pytest.mark.parametrize("field", ["data.train", "eval.data"])
def test_a_missing_picture_is_told_before_the_processor_is_loaded(tmp_path, field):
    model = tmp_path / "model"  # one whose processor can't be loaded
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    row = {"problem": "<image>How?", "images": ["none.png"], "answer": "3"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "good.jsonl").write_text(json.dumps(row | {"problem": "How?", "images": []}) + "\n")
    files = {"data.train": "good.jsonl", "eval.data": "good.jsonl", field: "rows.jsonl"}
    config = rl_config(
        str(tmp_path / files["data.train"]),
        model=ModelConfig(path=str(model), max_model_len=256),
        eval=EvalConfig(data=str(tmp_path / files["eval.data"]), max_response_tokens=32),
        runs_folder=str(tmp_path / "runs"),
        prompts_per_step=1,
    )
    assert "none.png" in refusal(config)
