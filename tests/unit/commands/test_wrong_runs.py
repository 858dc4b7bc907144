"""Commands that are given a run which is none, is of another kind, or is damaged: one message with the cause and the cure."""

import json

import pytest

from vr1_ray.cli import main
from vr1_ray.config import ConfigError
from vr1_ray.evaluation import make_benchmark
from vr1_ray.evaluation.elsewhere import read_elsewhere
from vr1_ray.evaluation.sources import file_rows, find_files, read_questions
from vr1_ray.runs.lock import take


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Runs as a newcomer leaves them, in ./runs."""
    monkeypatch.chdir(tmp_path)
    made = {
        "bridged": "kind: bridge\nname: bridged\n",
        "trained": "kind: rl\nname: trained\n",
        "recipe/cold": "kind: sft\nname: recipe/cold\n",
        "recipe/rl": "kind: rl\nname: recipe/rl\n",
    }
    for name, config in made.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text(config)
    (tmp_path / "runs" / "drawn").mkdir()
    (tmp_path / "runs" / "drawn" / "result.json").write_text('{"kind": "figure_math"}')
    (tmp_path / "runs" / "torn").mkdir()
    (tmp_path / "runs" / "torn" / "state.json").write_text('{"state": "fini')
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("scale bridged --engines 2", "bridged: is of kind bridge; only an rl run changes its size"),
        ("scale drawn --engines 2", "drawn: is of kind figure_math; only an rl run changes its size"),
        ("scale recipe --engines 2", "recipe: is a recipe; only an rl run changes its size; name its step, such as runs/recipe/rl"),
        ("replay bridged --step 1", "bridged: is of kind bridge; only an rl run saves rollouts to replay"),
        ("replay recipe --step 1", "recipe: is a recipe; only an rl run saves rollouts to replay; name its step, such as runs/recipe/rl"),
        ("replay recipe/cold --step 1", "recipe/cold: is of kind sft; only an rl run"),
        ("report bridged", "runs/bridged is of kind bridge, which makes no steps; `vr1 status runs/bridged` says what it has"),
        ("report trained", "no step to report, and no process is at it; start it again"),
        ("compare trained bridged", "no step to report, and no process is at it; start it again"),
        ("status runs", "run 'runs' is the folder of the runs; name one of them (`vr1 runs runs` lists them)"),
        ("status .", "is the folder of the runs"),
        ("report runs", "is the folder of the runs"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_asked_for_this_is_refused_by_its_cause(runs, words, told, capsys):
    assert main(words.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "soon"])
def test_a_wait_that_is_no_time_is_refused(runs, wait, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["scale", "trained", "--engines=2", f"--wait={wait}"])
    assert ended.value.code == 2
    assert f"'{wait}' is no time; give seconds, such as 600" in capsys.readouterr().err


def test_a_damaged_run_is_listed_as_such_and_hides_no_other(runs, capsys):
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [torn] = [line for line in lines if line.startswith("torn")]
    assert "can't be read: no sound config.yaml or state.json" in torn
    assert any(line.startswith("trained") for line in lines)


@pytest.mark.parametrize("text", ['{"kind": "fig', "[1]"])
def test_a_damaged_result_is_named(runs, text, capsys):
    (runs / "drawn" / "result.json").write_text(text)
    assert main(["status", "drawn"]) == 2
    assert "runs/drawn/result.json is damaged (" in capsys.readouterr().err


QUESTIONS = [type("Q", (), {"question_id": "1"})()]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"id": "1", "response": "a", "sample": "first"}, "row 0: sample is 'first'; give a whole number, or leave it out"),
        ({"id": "1", "response": "a", "tokens": [3]}, "row 0: tokens is [3]; give a whole number"),
        ({"id": "1", "response": "a", "times_asked": "inf"}, "row 0: times_asked is 'inf'"),
    ],
)  # fmt: skip
def test_a_count_of_responses_made_elsewhere_is_refused_by_row_and_column(row, told, tmp_path):
    (tmp_path / "r.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match=r"^eval\.responses: ") as raised:
        read_elsewhere(tmp_path / "r.jsonl", "mathvista", QUESTIONS)
    assert told in str(raised.value)


def test_responses_in_a_file_of_another_form_are_refused_by_their_own_setting(tmp_path):
    for name, content in (("r.txt", "hello"), ("r.json", "{"), ("r.parquet", "no")):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=r"^eval\.responses: "):
            read_elsewhere(tmp_path / name, "mathvista", QUESTIONS)


def test_a_torn_line_of_responses_is_told_as_such(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"id": "1", "response": "a"}\n{"id"')
    with pytest.raises(ValueError, match=r"row 1: .*JSON"):
        read_elsewhere(tmp_path / "r.jsonl", "mathvista", QUESTIONS)


@pytest.mark.parametrize("content", ["5", '"x"', '{"a": 1}', "null"])
def test_a_json_file_that_holds_no_rows_is_no_traceback(content, tmp_path):
    (tmp_path / "mathvista").mkdir()
    (tmp_path / "mathvista" / "testmini.json").write_text(content)
    assert list(file_rows(tmp_path / "mathvista" / "testmini.json")) != []
    with pytest.raises(ValueError, match="is no row"):
        read_questions(make_benchmark("mathvista"), str(tmp_path))


def test_a_folder_of_benchmarks_that_is_none_is_named_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; give the folder that holds mathvista/"):
        find_files(make_benchmark("mathvista"), tmp_path / "file")
    with pytest.raises(ValueError, match="no folder that is there"):
        find_files(make_benchmark("mathvista"), tmp_path / "nowhere")


@pytest.mark.parametrize("folder", ["file", "file/deeper"])
def test_a_run_folder_that_cannot_be_made_is_refused_by_its_setting(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^runs_folder: .*can't be made \(.*give a folder that you may write to"):  # fmt: skip
        take(tmp_path / folder / "run")


def test_a_list_of_settings_is_no_difference(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("kind: eval\nname: a\n")
    assert main(["config", "--diff", str(tmp_path / "c.yaml"), "--markdown"]) == 2
    assert (
        "--markdown: is for the list of settings; leave it out with --diff"
        in capsys.readouterr().err
    )


def test_a_dry_run_is_called_check_here(capsys):
    with pytest.raises(SystemExit):
        main(["run", "c.yaml", "--dry-run"])
    assert "`vr1 check CONFIG` verifies all without starting anything" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--temperature -1", "--temperature: -1 must be at least 0"),
        ("--top_p 2", "--top_p: 2 must be above 0 and at most 1"),
        ("--top_p nan", "--top_p: nan must be above 0 and at most 1"),
        ("--num_samples 0", "--num_samples: 0 must be at least 1"),
        ("--timeout_seconds nan", "--timeout_seconds: nan must be above 0"),
        ("--seed -1", "--seed: -1 must be 0 to"),
    ],
)
def test_a_number_of_generate_is_refused_by_its_own_option(words, told, capsys):
    assert main(["generate", "policy", "--question", "hi", *words.split()]) == 2
    assert told in capsys.readouterr().err
