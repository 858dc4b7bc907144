"""Answering questions: each form of input, rows as documented, mistakes before the engine, time limits."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.builders import picture, save_random_tiny_model
from vr1_ray.cli import main
from vr1_ray.commands.generate import for_reading, model_settings, response_row, run_generate
from vr1_ray.config import DataConfig, ModelConfig, RolloutConfig, RunConfig
from vr1_ray.config.fields import by_key
from vr1_ray.config.generate import TAKEN, GenerateConfig, sections
from vr1_ray.data import DataError
from vr1_ray.data.questions import load_questions, one_question
from vr1_ray.models import load_adapter
from vr1_ray.rollout import Sample
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.types import SamplingSpec

pytestmark = pytest.mark.slow  # together over five seconds

QUESTION = "How many red circles are there?"


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return str(save_random_tiny_model(tmp_path_factory.mktemp("policy")))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(picture(number).data)
    (folder / "1.txt").write_text("How many blue squares are there?\n")
    return folder


def settings(policy, **changes) -> GenerateConfig:
    changes = {"max_response_tokens": 8, "rollout": RolloutConfig(engine="hf"), **changes}
    return GenerateConfig(policy=policy, **changes)


def rows_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_asks_each_picture_its_own_text_or_the_common_one(policy, pictures, tmp_path):
    output = tmp_path / "deep" / "responses.jsonl"
    run_generate(
        settings(policy, source=str(pictures), question=QUESTION, output=str(output), num_samples=2)
    )
    rows = rows_of(output)
    assert [(row["images"], row["sample"]) for row in rows] == [
        (["0.png"], 0), (["0.png"], 1), (["1.png"], 0), (["1.png"], 1), (["2.png"], 0), (["2.png"], 1),
    ]  # fmt: skip
    assert rows[2]["question"] == "<image>How many blue squares are there?"
    assert rows[4]["question"] == f"<image>{QUESTION}"
    assert all(1 <= row["response_tokens"] <= 8 for row in rows)
    assert rows[0]["response"] != rows[1]["response"]


def test_rows_of_a_jsonl_keep_their_ids_and_are_judged_if_they_have_an_answer(
    policy, pictures, tmp_path
):
    rows = [
        {"id": "a", "question": "<image>How many?", "image": "0.png", "answer": 3},
        {"problem": "<image><image>Same?", "images": ["1.png", "2.png"]},
        {"question": "What is 1 + 1?"},
    ]
    (pictures / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    output = tmp_path / "responses.jsonl"
    run_generate(settings(policy, source=str(pictures / "q.jsonl"), output=str(output)))
    found = rows_of(output)
    assert [row["id"] for row in found] == ["a", 1, 2]
    assert [row["images"] for row in found] == [["0.png"], ["1.png", "2.png"], []]
    assert found[0]["reference"] == "3"
    assert found[0]["correct"] is False  # random weights have not the format
    assert "correct" not in found[1]


def test_one_question_is_answered_on_the_command_line(policy, pictures, capsys):
    arguments = ["generate", policy, "--image", str(pictures / "0.png"), "--question", QUESTION]
    assert main([*arguments, "--engine", "hf", "--max_tokens", "4"]) == 0
    assert "tokens)" in capsys.readouterr().out


def test_one_question_may_have_more_images_than_a_run_would_take(policy, pictures, tmp_path):
    row = {"question": "<image>" * 9 + "Same?", "images": ["1.png"] * 9}
    (pictures / "q.jsonl").write_text(json.dumps(row))
    output = tmp_path / "responses.jsonl"
    model = ModelConfig(max_pixels=784)
    run_generate(
        settings(policy, model=model, source=str(pictures / "q.jsonl"), output=str(output))
    )
    assert rows_of(output)[0]["images"] == ["1.png"] * 9


def test_the_same_seed_gives_the_same_responses_and_another_gives_others(
    policy, pictures, tmp_path
):
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        output = tmp_path / f"{name}.jsonl"
        run_generate(
            settings(policy, source=str(pictures), question="?", output=str(output), seed=seed)
        )
        found.append([row["response"] for row in rows_of(output)])
    assert found[0] == found[1] != found[2]


def sample(adapter, text: str, reason="finished") -> Sample:
    ids = adapter.encode_response(text)
    return Sample(
        response_ids=ids, logprobs=(0.0,) * len(ids), finish_reason=reason, version_spans=()
    )


def test_thought_and_answer_are_told_apart_and_judged(policy):
    adapter = load_adapter(ModelConfig(path=policy))
    prompt = replace(one_question([], "How many?", DataConfig()), answer="4")
    text = "<think> 2 + 2 = 4. </think><answer> Final Answer:4 </answer>"
    row = response_row(prompt, 0, 0, sample(adapter, text), adapter)
    assert (row["thought"], row["answer"], row["correct"]) == ("2 + 2 = 4.", "4", True)
    assert for_reading(row).startswith("2 + 2 = 4.\n\nanswer: 4")
    cut = response_row(prompt, 0, 0, sample(adapter, "<think> 2 + 2", "truncated"), adapter)
    assert (cut["thought"], cut["answer"], cut["correct"]) == (None, None, False)
    assert "no <think> and <answer> blocks (truncated" in for_reading(cut)


def test_images_are_scaled_as_the_policys_processor_was_saved(policy):
    found = model_settings(settings(policy, question="?"))
    assert (found.min_pixels, found.max_pixels) == (784, 50176)  # of vr1-tiny's processor
    given = settings(policy, question="?", model=ModelConfig(max_pixels=7840))
    assert model_settings(given).max_pixels == 7840


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--question: empty"),
        (["--image", "a.png", "--input", "b"], "both given"),
        (["--question", "?", "--image", "none.png"], "--image: none.png is no file"),
        (["--input", "none"], "none does not exist"),
        (["--question", "<image>?"], "1 <image> marks for 0 images"),
        (["--question", "?", "--max_tokens", "-1"], "--max_tokens: -1"),
        (["--question", "?", "--max_tokens", "0"], "--max_tokens: 0 must be above 0; leave it out for what"),
        (["--question", "?", "--temperature", "nan"], "temperature"),
        (["--question", "?", "--temperature", "0", "--num_samples", "2"], "greedy responses are the same"),
        (["--question", "?", "--output", "/proc/none/a.jsonl"], "--output: /proc/none/a.jsonl can't be written"),
        (["--question", "?", "--output", "/proc"], "--output: /proc is a folder"),
        (["--question", "?", "--top_p", "0"], "--top_p: 0 must be above 0"),
        (["--question", "?", "--max_tokens", "99999999"], "lower --max_tokens"),
        (["--question", "?", "--set", "trainer.zero_stage=3"], "use model.KEY=value"),
        (["--question", "?", "--set", "model.max_pixels=x"], "max_pixels"),
        (["--question", "?", "--set", "model.path=x"], "the policy is the first argument"),
        (["--question", "?", "--set", "rollout.temperature=1"], "write --temperature"),
        (["--question", "?", "--set", "model.freeze_projector=true"], "no effect on `vr1 generate`"),
        (["--question", "?", "--set", "data.prompt_column=x"], "is of the rows of --input"),
        (["--question", "?", "--engine", "none"], "known: hf, vllm"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(policy, arguments, message, capsys):
    assert main(["generate", policy, *arguments]) == 2
    error = capsys.readouterr().err
    error = error[error.index("vr1: error: ") :]  # after what is told of a start
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no JSON"),
        ("3", "row 0: 3 is no row"),
        ('{"image": "0.png"}', "row 0: question: None"),
        ('{"question": "?", "image": "none.png"}', "row 0: image: 'none.png' is no file"),
        ('{"question": "?", "image": "../0.png"}', "leaves the data folder"),
        ('{"question": "<image><image>?", "image": "0.png"}', "2 <image> marks for 1 images"),
        ("", "has no rows"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(pictures, line, message):
    (pictures / "q.jsonl").write_text(line)
    with pytest.raises(DataError, match=r"--input") as raised:
        load_questions(str(pictures / "q.jsonl"), "", DataConfig())
    assert message in str(raised.value)


def test_a_picture_without_a_question_is_named(pictures):
    with pytest.raises(DataError, match=r"0\.png has no question"):
        load_questions(str(pictures), "", DataConfig())


def test_what_a_file_was_read_as_is_told_on_standard_error(policy, pictures, capsys):
    (pictures / "q.jsonl").write_text('{"question": "How many?", "image": "0.png"}')
    arguments = ["generate", policy, "--input", str(pictures / "q.jsonl"), "--engine", "hf"]
    assert main([*arguments, "--max_tokens", "2"]) == 0
    found = capsys.readouterr()
    assert "note: --input: " in found.err
    assert "1 rows read as question, pictures from `image`" in found.err
    assert "note" not in found.out


def test_nothing_within_the_time_limit_ends_with_what_was_waited_for(policy, pictures):
    config = settings(
        policy, source=str(pictures), question="?", timeout_seconds=1e-4, max_response_tokens=200
    )
    with pytest.raises(
        RuntimeError, match=r"0 of 3 questions are answered; waiting for \[0, 1, 2\]"
    ):
        run_generate(config)


def test_a_missing_picture_is_told_before_anything_heavy_is_loaded(tmp_path):
    code = (
        "import sys; from vr1_ray.cli import main\n"
        f"code = main(['generate', 'no/such/policy', '--image', {str(tmp_path / 'none.png')!r}, '--question', 'How?'])\n"
        "print(code, [m for m in ('ray', 'torch', 'vllm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout == "2 []\n"
    assert "none.png" in done.stderr


def test_a_response_ends_behind_its_answer_and_by_default_at_the_trained_cap(
    policy, pictures, tmp_path, capsys
):
    trained = tmp_path / "policy"
    shutil.copytree(policy, trained)
    (trained / "vr1_policy.json").write_text(json.dumps({"max_response_tokens": 12}))
    output = tmp_path / "responses.jsonl"
    arguments = [
        str(pictures / "0.png"),
        "--question",
        QUESTION,
        "--engine",
        "hf",
        "--output",
        str(output),
    ]
    assert main(["generate", str(trained), "--image", *arguments]) == 0
    assert (
        "at most 12 tokens a response, what the policy was trained with" in capsys.readouterr().err
    )
    assert rows_of(output)[0]["response_tokens"] <= 12


def test_a_text_that_ends_a_response_stops_the_engine(policy):
    adapter = load_adapter(ModelConfig(path=policy))
    engine = HFEngine(model=ModelConfig(path=policy), rollout=RolloutConfig(), adapter=adapter)
    spec = SamplingSpec(max_response_tokens=9, group_size=1, stop_texts=("</answer>",))
    before, ended = (
        list(adapter.encode_response(text)[:-1]) for text in ("<answer> 3", "<answer> 3</answer>")
    )
    assert not engine._has_stopped(before, spec)
    assert engine._has_stopped(ended, spec)
    assert not engine._has_stopped(ended, replace(spec, stop_texts=()))


def test_a_question_for_rows_that_have_their_own_is_refused(pictures):
    (pictures / "q.jsonl").write_text('{"question": "How many?", "image": "0.png"}')
    with pytest.raises(DataError, match=r"--question: .*q\.jsonl has questions of its own"):
        load_questions(str(pictures / "q.jsonl"), "What?", DataConfig())


def test_no_output_replaces_what_is_asked_and_none_is_left_by_a_mistake(policy, pictures):
    rows = pictures / "q.jsonl"
    rows.write_text('{"question": "How many?", "image": "none.png"}')
    with pytest.raises(ValueError, match=r"--output: .* is --input itself"):
        run_generate(settings(policy, source=str(rows), output=str(rows)))
    output = pictures / "answers.jsonl"
    with pytest.raises(DataError, match=r"none\.png"):
        run_generate(settings(policy, source=str(rows), output=str(output)))
    assert not output.exists()


def test_what_is_no_policy_is_told_before_anything_is_loaded(policy, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(policy, run / "policy")
    for name, told in (
        ("nowhere", "policy='nowhere': there is no such folder"),
        (str(run), f"the folder has no config.json. .* Did you mean {run}/policy?"),
    ):
        assert main(["generate", name, "--question", "?"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("vr1: error: policy=")
        assert re.search(told, error)


def test_every_key_of_the_sections_is_taken_or_refused():
    keys = {key: one for key, one in by_key(RunConfig).items() if key.split(".")[0] in TAKEN}
    assert {f"{section}.{name}" for section, names in TAKEN.items() for name in names} < set(keys)
    for key, setting in keys.items():
        section, name = key.split(".")[:2]
        override = f"{key}={json.dumps(setting.default)}"
        if name in TAKEN[section]:
            sections([override])
        elif setting.default != {}:
            with pytest.raises(ValueError, match=r"not a setting here|has no effect"):
                sections([override])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("modle.max_pixels=1", "did you mean model.max_pixels?"),
        ("max_pixels=1", "did you mean model.max_pixels?"),
        ("modle.x=1", "did you mean model?"),
        ("modle.path=x", "the policy is the first argument"),
        ("dta.train=x", "rows are named by --input"),
        ("temprature=1", "write --temperature"),
        ("optimizer.lr=1", "use model.KEY=value, rollout.KEY=value, data.KEY=value"),
    ],
)
def test_a_setting_that_is_none_is_told_with_what_was_meant(override, told):
    with pytest.raises(ValueError, match=f"not a setting here; {re.escape(told)}$"):
        sections([override])
