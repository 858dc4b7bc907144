"""`examples/custom_curriculum`: it runs, and its page shows what it prints."""

from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "custom_curriculum"


def test_the_page_shows_what_the_example_prints(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import until_mastered

    until_mastered.main()
    printed = capsys.readouterr().out.splitlines()
    page = (EXAMPLE / "README.md").read_text().splitlines()
    assert len(printed) == 6
    for line in printed:
        assert f"    {line.rstrip()}" in page
