import io
import json
import sys

import numpy as np
import pytest

from vr1_ray.config import TrackingConfig
from vr1_ray.tracking import Tracker
from vr1_ray.tracking.sinks import ConsoleSink, format_seconds

QUIET = TrackingConfig(console=False)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_every_step_is_one_row_with_its_floats_exact(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=2) as tracker:
        tracker.log(1, {"reward/mean": 0.1 + 0.2, "stage": 1, "lr": np.float32(1e-3), "step": 1})
        assert rows(tmp_path) == [
            {"step": 1, "reward/mean": 0.1 + 0.2, "stage": 1, "lr": float(np.float32(1e-3))}
        ]


def test_a_number_that_is_not_finite_is_null(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=1) as tracker:
        tracker.log(1, {"kl": float("nan"), "grad_norm": float("inf")})
    assert rows(tmp_path) == [{"step": 1, "kl": None, "grad_norm": None}]


def test_a_resume_removes_later_rows_and_a_half_written_one(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=5) as tracker:
        for step in (1, 2, 3):
            tracker.log(step, {"kl": step / 7})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "kl"')
    with Tracker(tmp_path, QUIET, total_steps=5, resume_step=2) as tracker:
        tracker.log(3, {"kl": 0.5})
    assert rows(tmp_path) == [
        {"step": 1, "kl": 1 / 7},
        {"step": 2, "kl": 2 / 7},
        {"step": 3, "kl": 0.5},
    ]


def test_what_is_added_to_a_step_joins_its_row_and_outlives_a_resume(tmp_path):
    with Tracker(tmp_path, QUIET, total_steps=3) as tracker:
        tracker.add(0, {"benchmark/mathvista": 0.125})  # the start has no row
        tracker.log(1, {"kl": 1 / 7})
        tracker.log(2, {"kl": 0.5})
        tracker.add(2, {"benchmark/mathvista": 0.25, "step": 2})
        tracker.add(2, {"benchmark/mathvista": 0.5, "kl2": float("nan")})
    with Tracker(tmp_path, QUIET, total_steps=3, resume_step=2) as tracker:
        tracker.log(3, {"kl": 0.75})
        tracker.rewind(2)
        tracker.log(3, {"kl": 1.0})
    assert rows(tmp_path) == [
        {"step": 1, "kl": 1 / 7},
        {"step": 2, "kl": 0.5, "benchmark/mathvista": 0.5, "kl2": None},
        {"step": 3, "kl": 1.0},
    ]


def test_a_new_run_starts_an_empty_file(tmp_path):
    for _ in range(2):
        with Tracker(tmp_path, QUIET, total_steps=1) as tracker:
            tracker.log(1, {"kl": 0.0})
    assert len(rows(tmp_path)) == 1


def test_a_metric_that_is_no_scalar_is_refused(tmp_path):
    with (
        Tracker(tmp_path, QUIET, total_steps=1) as tracker,
        pytest.raises(TypeError, match="not list"),
    ):
        tracker.log(1, {"kl": [1.0]})


def test_the_console_line_has_step_stage_reward_length_truncation_speed_and_time_left():
    stream = io.StringIO()
    console = ConsoleSink(total_steps=40, stream=stream)
    metrics = {
        "stage": 1, "max_response_tokens": 96, "group_size": 16, "reward/mean": 0.4123, "accuracy": 0.5,
        "response_tokens/mean": 61.24, "truncation_rate": 0.031, "tokens_per_second": 842.3, "time/step": 6.0,
    }  # fmt: skip
    console.log(12, metrics)
    console.note("no group is informative")
    assert stream.getvalue().splitlines() == [
        "step 12/40 | stage 1 (96 x 16) | reward 0.412 | accuracy 0.500 | length 61.2 | cut 3.1% | 842 tok/s | 6.0 s | "
        "2:48 left",
        "note: no group is informative",
    ]


def test_the_console_leaves_out_what_a_cold_start_does_not_have():
    stream = io.StringIO()
    ConsoleSink(total_steps=2, stream=stream).log(1, {"loss": 1.25, "time/step": 2.0, "lr": 1e-3})
    assert stream.getvalue() == "step 1/2 | loss 1.2500 | 2.0 s | 0:02 left\n"


def test_seconds_are_told_as_a_clock():
    assert [format_seconds(seconds) for seconds in (5, 171, 3771)] == ["0:05", "2:51", "1:02:51"]


@pytest.mark.slow
def test_wandb_without_a_key_writes_an_offline_run_into_the_run_folder(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    with Tracker(tmp_path, TrackingConfig(console=False, wandb=True), total_steps=1) as tracker:
        tracker.log(1, {"reward/mean": 0.5})
        tracker.add(1, {"benchmark/mathvista": 0.25})
        tracker.note("an alarm")
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_a_sink_whose_package_is_missing_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        ValueError, match=r"tracking.wandb: true, but wandb is not installed; pip install wandb"
    ):
        Tracker(tmp_path, TrackingConfig(console=False, wandb=True), total_steps=1)


def test_tensorboard_writes_an_event_file(tmp_path):
    pytest.importorskip("tensorboard")
    with Tracker(
        tmp_path, TrackingConfig(console=False, tensorboard=True), total_steps=1
    ) as tracker:
        tracker.log(1, {"reward/mean": 0.5, "pool": "2 engines"})
        tracker.add(1, {"benchmark/mathvista": 0.25})
        tracker.note("an alarm")
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
