"""`vr1 report` and `vr1 compare` on run folders: where the page goes, what is refused, what the table says."""

import pytest

from tests.unit.report.builders import make_run
from vr1_ray.cli import main
from vr1_ray.commands.report import comparison

pytestmark = pytest.mark.slow  # pages hold plotly.js


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    top = tmp_path_factory.mktemp("runs")
    for name in ("one", "two"):
        make_run(top / name, steps=2, groups=1, size=2, prompts=2)
    (top / "empty").mkdir()
    (top / "empty" / "config.yaml").write_text((top / "one" / "config.yaml").read_text())
    return top


def test_the_page_of_one_run_goes_into_its_folder(runs, capsys):
    assert main(["report", "one", "--runs_folder", str(runs)]) == 0
    assert "<title>one</title>" in (runs / "one" / "report.html").read_text()
    assert f"report: {runs / 'one' / 'report.html'} (" in capsys.readouterr().out


def test_a_comparison_prints_a_table_and_writes_the_page_of_both(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs)
    assert main(["compare", "one", "two", "--runs_folder", "."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["last", "step", "one", "two"]
    assert lines[1].split() == ["step", "2", "2"]
    assert any(line.startswith("reward") for line in lines)
    assert "<title>one and two</title>" in (runs / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report", "nobody"], "run 'nobody' is neither a run folder nor a run in"),
        (["report", "empty"], "has no step to report, and no process is at it; start it again"),
        (["report", "one", "one"], "is named twice; name each run once"),
        (["report", "one", "--max_mb", "-1"], "--max_mb: -1 is no size of a page"),
        (["report", "one", "--max_mb", "nan"], "--max_mb: nan is no size of a page"),
        (["report", "one", "--max_mb", "1"], "max_mb: 1 is too small; the page needs 2."),
        (["report", "one", "--to", "."], "--to: . is a folder; give the page's file"),
        (["compare", "one"], "one alone; name the runs to compare it with"),
    ],
)
def test_what_can_not_be_reported_is_said_in_one_message(runs, capsys, arguments, told):
    assert main([*arguments, "--runs_folder", str(runs)]) == 2
    assert told in capsys.readouterr().err


def test_a_run_is_named_by_its_name_or_by_its_folder(runs):
    assert comparison(["one", str(runs / "two")], runs_folder=str(runs)).splitlines()[0].endswith("two")  # fmt: skip
