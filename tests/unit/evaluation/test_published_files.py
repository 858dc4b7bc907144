"""Whether a file is the published one; parts of a benchmark as files of their own; a line after each question."""

import hashlib
import shutil
from pathlib import Path

import pytest

from vr1_ray.config import ConfigError, EvalConfig
from vr1_ray.evaluation import BENCHMARKS, load_selections, make_benchmark, published_files
from vr1_ray.evaluation.published_files import MD5, file_note

FIXTURES = Path(__file__).parents[3] / "examples" / "evaluation" / "fixtures"


def test_a_file_is_told_from_the_published_one_by_its_sum(tmp_path, monkeypatch):
    path = tmp_path / "MMStar.tsv"
    path.write_text("index\n1\n")
    own = hashlib.md5(path.read_bytes()).hexdigest()
    assert file_note(path) == (
        f"MMStar.tsv is not the published file: MD5 {own}, published e1ecd2140806c1b1bbf54b43372efb9e"
    )
    monkeypatch.setitem(published_files.MD5, "MMStar.tsv", ("0" * 32, own))
    assert file_note(path) == f"MMStar.tsv is the published file (MD5 {own})"
    assert file_note(tmp_path / "mine.tsv") == ""


def test_every_sum_is_of_a_file_that_a_benchmark_reads():
    names = {file for name in BENCHMARKS for file in make_benchmark(name).files}
    assert set(MD5) <= names
    assert all(len(one) == 32 and int(one, 16) for sums in MD5.values() for one in sums)


def test_a_selection_says_whether_its_file_is_the_published_one():
    [own] = load_selections(["mathvista"], EvalConfig(benchmarks_folder=str(FIXTURES / "tsv")))
    assert own.files[0].startswith("MathVista_MINI.tsv is not the published file")
    [parquet] = load_selections(["mathvista"], EvalConfig(benchmarks_folder=str(FIXTURES)))
    assert parquet.files == ()


@pytest.mark.parametrize(
    ("name", "whole", "part"),
    [
        ("mathverse", "MathVerse_MINI.tsv", "MathVerse_MINI_Vision_Only.tsv"),
        ("math_vision", "MathVision.tsv", "MathVision_MINI.tsv"),
    ],
)
def test_a_version_or_a_mini_set_is_read_where_it_is_all_there_is(tmp_path, name, whole, part):
    [found] = list((FIXTURES / "tsv").rglob(whole))
    shutil.copy(found, tmp_path / part)
    assert load_selections([name], EvalConfig(benchmarks_folder=str(tmp_path)))[0].questions


def test_a_line_stands_after_each_question_of_its_benchmark_alone():
    line = "Put the answer in <answer> </answer>."
    config = EvalConfig(benchmarks_folder=str(FIXTURES), instructions={"mathvista": line})
    [with_line, without] = load_selections(["mathvista", "chartqa"], config)
    assert all(one.prompt.question.endswith(f"\n{line}") for one in with_line.questions)
    assert not any(line in one.prompt.question for one in without.questions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instructions": {"mathvist": "x"}}, "mathvist is none of this run's benchmarks"),
        ({"instructions": {"mm_math": "x"}, "protocol": "paper"}, "sends its own prompts"),
    ],
)
def test_a_line_that_no_benchmark_takes_is_refused(changes, message):
    config = EvalConfig(benchmarks_folder=str(FIXTURES), **changes)
    with pytest.raises(ConfigError, match=message):
        load_selections(["mm_math"], config)
