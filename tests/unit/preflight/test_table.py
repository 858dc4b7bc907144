"""The table of checks lines up, counts, and shows every cure."""

import pytest

from vr1_ray.preflight.table import CheckRow, is_sound, render, summary_line

ROWS = [
    CheckRow(name="engine: weights", value="15.4 GiB", limit="68.0 GiB"),
    CheckRow(name="disk", value="9 GiB", limit="10 GiB", status="warning", cure="lower keep_last"),
    CheckRow(name="reference", value="137 GiB", limit="80 GiB", status="bad", cure="larger GPUs"),
]


def test_columns_line_up_and_cures_follow():
    assert render(ROWS, colour=False).split("\n") == [
        "check            value     limit     status",
        "----------------------------------------------",
        "engine: weights  15.4 GiB  68.0 GiB  ok",
        "disk             9 GiB     10 GiB    warning",
        "reference        137 GiB   80 GiB    bad",
        "warning disk: lower keep_last",
        "bad reference: larger GPUs",
        "3 checks: 1 ok, 1 warning, 1 bad",
    ]


def test_colours_paint_the_status_alone():
    painted = render(ROWS, colour=True)
    assert painted.count("\x1b[32mok\x1b[0m") == 1
    assert painted.count("\x1b[31mbad\x1b[0m") == 2  # in the table and before the cure
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"):
        painted = painted.replace(code, "")
    assert painted == render(ROWS, colour=False)


@pytest.mark.parametrize(("is_terminal", "expected"), [(True, True), (False, False)])
def test_colours_are_for_terminals(monkeypatch, is_terminal, expected):
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    assert ("\x1b[" in render(ROWS)) == expected


def test_warnings_are_sound_and_a_bad_row_is_not():
    assert is_sound(ROWS[:2])
    assert not is_sound(ROWS)


def test_no_rows_are_a_table_too():
    assert summary_line([]) == "0 checks: 0 ok, 0 warning, 0 bad"
    assert render([], colour=False).endswith("0 checks: 0 ok, 0 warning, 0 bad")
