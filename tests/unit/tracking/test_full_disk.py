"""A disk that takes no more: the run is told, and the rows are written when there is room. The limit is the
kernel's own (RLIMIT_FSIZE), so the error is a real one."""

import json
import resource
from contextlib import contextmanager

import pytest

from vr1_ray.config import TrackingConfig
from vr1_ray.tracking import Tracker
from vr1_ray.tracking.jsonl import JsonlSink

QUIET = TrackingConfig(console=False)


@contextmanager
def room_for(size):
    """Inside, no file of this process can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def steps(folder):
    return [
        json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]


def test_rows_wait_while_the_disk_is_full_and_are_written_in_order(tmp_path, capsys):
    with Tracker(tmp_path, QUIET, total_steps=9) as tracker:
        tracker.log(1, {"kl": 0.25})
        size = (tmp_path / "metrics.jsonl").stat().st_size
        with room_for(size + 5):  # for a part of the next row: none of it may stay
            tracker.log(2, {"kl": 0.5})
            tracker.log(3, {"kl": 0.75})
            assert steps(tmp_path) == [1]
        told = capsys.readouterr().err
        assert "ALARM JsonlSink: the metrics of step 2 could not be written" in told
        assert "2 rows wait until there is room" in told
        tracker.log(4, {"kl": 1.0})
        assert steps(tmp_path) == [1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_rows_that_waited_to_the_end_are_written_at_the_end(tmp_path, capsys):
    with Tracker(tmp_path, QUIET, total_steps=9) as tracker, room_for(0):
        tracker.log(1, {"kl": 0.25})
        assert steps(tmp_path) == []
    assert steps(tmp_path) == [1]


def test_rows_that_can_never_be_written_are_told_at_the_end(tmp_path, capsys):
    tracker = Tracker(tmp_path, QUIET, total_steps=9)
    with room_for(0):
        tracker.log(1, {"kl": 0.25})
        tracker.close()
    assert "not everything could be written at the end" in capsys.readouterr().err


def test_a_sink_says_why_it_could_not_write(tmp_path):
    sink = JsonlSink(tmp_path, None)
    with room_for(0), pytest.raises(OSError, match=r"File too large|No space left"):
        sink.log(1, {"kl": 0.25})
    sink.close()


def test_going_back_leaves_one_row_a_step_also_of_rows_that_wait(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=9) as tracker:
        for step in (1, 2, 3):
            tracker.log(step, {"kl": step / 7})
        size = (tmp_path / "metrics.jsonl").stat().st_size
        with room_for(size):
            tracker.log(4, {"kl": 0.5})
            tracker.rewind(1)  # needs no room
        tracker.log(2, {"kl": 0.125})
        assert steps(tmp_path) == [1, 2]
        tracker.rewind(0)
        assert steps(tmp_path) == []


def test_what_is_added_to_a_row_that_waits_is_written_with_it(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=9) as tracker:
        with room_for(0):
            tracker.log(1, {"kl": 0.25})
            tracker.add(1, {"benchmark/mathvista": 0.5})
        tracker.log(2, {"kl": 0.5})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"step": 1, "kl": 0.25, "benchmark/mathvista": 0.5}
    assert steps(tmp_path) == [1, 2]


def test_what_can_not_be_added_is_told_and_the_row_stays_as_it_was(tmp_path, capsys):
    with Tracker(tmp_path, QUIET, total_steps=9) as tracker:
        tracker.log(1, {"kl": 0.25})
        before = (tmp_path / "metrics.jsonl").read_text()
        with room_for(len(before)):
            tracker.add(1, {"benchmark/mathvista": 0.5})
        assert "the metrics added to step 1 could not be written" in capsys.readouterr().err
        assert (tmp_path / "metrics.jsonl").read_text() == before
        tracker.log(2, {"kl": 0.5})
    assert steps(tmp_path) == [1, 2]
