"""What becomes of rows that can't be used: refused, or skipped up to a share, counted and listed."""

import json
import logging

import pytest

from tests.unit.data.inputs import READERS, as_row, outcome, pictures, read, write_rows
from vr1_ray.config import ConfigError, DataConfig, RunConfig, check_config
from vr1_ray.data import DataError, load_prompts
from vr1_ray.data.refusals import BadRows, RowProblems, shortened
from vr1_ray.evaluation import make_benchmark, read_questions


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


def listed(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("reader", READERS)
def test_bad_rows_are_skipped_counted_and_listed(root, reader, caplog):
    rows = [as_row(reader, images=name) for name in ("a.png", "none.png", "b.png")]
    skip = {
        "bad_rows": "skip",
        "max_bad_rows": 0.34,
        "bad_rows_file": str(root / "x" / "bad.jsonl"),
    }
    assert len(outcome(reader, root, rows, **skip)) == 2
    assert "1 of 3 rows can't be used and are skipped (data.bad_rows), listed in" in caplog.text
    [item] = listed(root / "x" / "bad.jsonl")
    assert item["row"] == "row 1"
    assert item["source"].endswith("rows.jsonl")
    assert item["problem"].startswith("images: 'none.png' is no file")


def test_more_bad_rows_than_the_share_are_refused_with_the_first_ones(root):
    rows = [as_row("prompts", images=name) for name in ("a.png", "none.png", "html.jpg")]
    found = outcome("prompts", root, rows, bad_rows="skip", max_bad_rows=0.34)
    assert "2 of 3 rows are more than the share data.max_bad_rows=0.34" in found
    assert "row 1: images: 'none.png'" in found
    assert "row 2: images: html.jpg" in found


def test_a_line_of_no_json_is_a_bad_row_like_others(root):
    rows = [json.dumps(as_row("prompts")), '{"problem": ', "7"]
    found = outcome("prompts", root, rows, bad_rows="skip", max_bad_rows=0.9, bad_rows_file=str(root / "bad"))  # fmt: skip
    assert len(found) == 1
    assert len(listed(root / "bad")) == 2


def test_the_list_is_written_anew_for_a_source_and_keeps_those_of_others(root):
    first = write_rows(root, [as_row("prompts"), as_row("prompts", answer="")])
    other = root / "other.jsonl"
    other.write_text("7\n" + json.dumps(as_row("prompts")))
    config = DataConfig(bad_rows="skip", max_bad_rows=0.5, bad_rows_file=str(root / "bad"))
    for _ in range(2):
        load_prompts(config, first, "train")
        load_prompts(config, str(other), "train", field="eval.data")
    assert [(item["field"], item["row"]) for item in listed(root / "bad")] == [
        ("data.train", "row 1"),
        ("eval.data", "row 0"),
    ]
    write_rows(root, [as_row("prompts")])
    load_prompts(config, first, "train")
    assert [item["field"] for item in listed(root / "bad")] == ["eval.data"]


def test_the_list_of_a_run_is_in_its_folder(tmp_path):
    config = RunConfig(kind="rl", name="x", runs_folder=str(tmp_path))
    assert config.data_here.bad_rows_file == str(tmp_path / "x" / "bad_rows.jsonl")
    config.data.bad_rows_file = "own.jsonl"
    assert config.data_here.bad_rows_file == "own.jsonl"


def test_a_share_above_1_is_refused_by_name():
    config = RunConfig(kind="rl", name="x", data=DataConfig(max_bad_rows=7))
    with pytest.raises(ConfigError, match=r"data\.max_bad_rows: 7"):
        check_config(config)


def test_rows_of_a_benchmark_are_skipped_alike(tmp_path):
    (tmp_path / "mathvista").mkdir()
    good = {"pid": "1", "question": "q", "answer": "3", "question_type": "free_form", "answer_type": "integer", "precision": 1.0, "metadata": {"task": "x", "skills": [], "category": "x", "context": "x"}}  # fmt: skip
    lines = [json.dumps(good), '{"pid": "2"}', "{"]
    (tmp_path / "mathvista" / "testmini.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match="row 1: "):
        read_questions(make_benchmark("mathvista"), str(tmp_path))
    skip = BadRows(policy="skip", max_share=0.7, file=str(tmp_path / "bad"))
    found = read_questions(make_benchmark("mathvista"), str(tmp_path), bad_rows=skip)
    assert [question.question_id for question in found] == ["1"]
    assert [item["row"] for item in listed(tmp_path / "bad")] == ["row 1", "row 2"]


def test_references_that_the_checker_cannot_read_are_counted_over_all_rows(root, caplog):
    rows = [as_row("prompts", answer=answer) for answer in ["3"] * 9 + ["$", "x" * 3000, "$$"]]
    assert len(outcome("prompts", root, rows)) == 12
    assert "3 reference answers can't be read by the checker" in caplog.text


def test_float_noise_and_whole_floats_are_told(root, caplog):
    rows = [as_row("prompts", answer=answer) for answer in (0.30000000000000004, 3.0, 2.5)]
    assert len(outcome("prompts", root, rows, ".parquet")) == 3
    assert "1 reference answers have 16 digits or more" in caplog.text
    assert "1 reference answers are whole numbers in a column of floats" in caplog.text


def test_rows_without_a_mark_are_told(root, caplog):
    with caplog.at_level(logging.INFO):
        read("prompts", write_rows(root, [as_row("prompts", images="a.png")]))
    assert "1 rows have no <image> mark: their pictures stand before the text" in caplog.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a" * 200, "'" + "a" * 80 + "'... (200 signs)"),
        (b"\x89PNG\r\n\x1a\nrest", "12 bytes b'\\x89PNG\\r\\n\\x1a\\n'..."),
        ({"bytes": b"x" * 99}, "{'bytes': 99 bytes b'xxxxxxxx'...}"),
        (7, "7"),
    ],
)
def test_values_in_messages_are_shortened(value, shown):
    assert shortened(value) == shown
    assert len(shortened([value] * 1000)) < 200


def test_a_message_with_half_a_sign_can_be_printed():
    problems = RowProblems("data.train", "x")
    problems.add(0, "half: \ud83d")
    with pytest.raises(DataError) as error:
        problems.raise_if_any()
    str(error.value).encode()


def test_a_file_whose_rows_are_all_skipped_is_not_called_empty(root):
    found = outcome(
        "prompts",
        root,
        [as_row("prompts", images="none.png")] * 2,
        bad_rows="skip",
        max_bad_rows=1.0,
        bad_rows_file=str(root / "bad.jsonl"),
    )
    assert "all 2 rows of" in found
    assert "were skipped (data.bad_rows=skip), the first for images: 'none.png' is no file" in found
