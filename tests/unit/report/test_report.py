import io
import json

import pytest
from PIL import Image

from vr1_ray.report import plot_curves, result_table, write_report
from vr1_ray.report.curves import stage_spans
from vr1_ray.types import EncodedImage, Prompt

pytestmark = pytest.mark.slow  # together over five seconds

SUMMARY = {
    "accuracy": {"base": 0.632, "cold_start": 0.581, "rl": 0.952},
    "hard_reward": {"base": 0.0, "cold_start": 0.562, "rl": 0.95},
    "format_rate": {"base": 0.0, "cold_start": 0.91, "rl": 0.998},
    "mean_response_tokens": {"base": 2.1, "cold_start": 83.4, "rl": 38.8},
    "truncation_rate": {"base": 0.0, "cold_start": 0.09, "rl": 0.002},
    "stages": [
        {"number": 1, "max_response_tokens": 96, "group_size": 16, "steps": 3},
        {"number": 2, "max_response_tokens": 160, "group_size": 8, "steps": 2},
    ],
    "wall_seconds": {"sft": 150.2, "rl": 410.9, "total": 640.1},
}


def metric_row(step):
    stage = 1 if step <= 3 else 2
    return {
        "step": step, "stage": stage, "max_response_tokens": 96 if stage == 1 else 160,
        "group_size": 16 if stage == 1 else 8, "reward/mean": 0.5, "accuracy": 0.6, "format_rate": None,
        "response_tokens/mean": 60.0, "response_tokens/max": 96, "truncation_rate": 0.1, "informative_group_rate": 0.7,
    }  # fmt: skip


def write_metrics(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_stage_spans_say_where_a_stage_begins_and_ends():
    spans = stage_spans([metric_row(step) for step in range(1, 6)])
    assert [(span["first"], span["last"], span["stage"]) for span in spans] == [
        (1, 3, 1),
        (4, 5, 2),
    ]


@pytest.mark.parametrize("num_steps", [1, 5])
def test_curves_are_drawn_for_a_run_of_any_length(tmp_path, num_steps):
    metrics = write_metrics(
        tmp_path / "metrics.jsonl", [metric_row(step + 1) for step in range(num_steps)]
    )
    with Image.open(plot_curves(metrics, tmp_path / "pictures" / "curves.png")) as image:
        assert image.size[0] > 1000


def test_curves_are_drawn_from_rows_that_lack_metrics(tmp_path):
    metrics = write_metrics(tmp_path / "metrics.jsonl", [{"step": 1, "loss": 1.0}])
    assert plot_curves(metrics, tmp_path / "curves.png").is_file()


def test_metrics_without_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has no rows to draw"):
        plot_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")


def test_the_table_puts_base_cold_start_and_rl_side_by_side():
    lines = result_table(SUMMARY).splitlines()
    assert lines[0].split() == ["base", "cold", "start", "rl"]
    assert lines[2].split() == ["accuracy", "0.632", "0.581", "0.952"]
    assert "stage 2: 2 steps, at most 160 tokens x 8 responses" in lines
    assert lines[-1] == "wall time: 640 s (sft 150 s, rl 411 s)"


def test_a_policy_that_was_not_evaluated_is_left_out():
    table = result_table({"accuracy": {"rl": 0.5}, "wall_seconds": {"total": 3.0}})
    assert "base" not in table
    assert "0.500" in table


def test_benchmarks_stand_below_with_their_headline_alone():
    lines = result_table(
        {
            "accuracy": {"base": 0.5, "rl": 0.75},
            "benchmarks": {
                "base": {},
                "rl": {"mathvista": 0.4, "mathvista/GPS": 0.3},
                "best": {"mathvista": 0.5},
            },
        }
    ).splitlines()
    assert lines[0].split() == ["base", "rl", "best"]
    assert lines[2].split() == ["accuracy", "0.500", "0.750", "-"]
    assert lines[3].split() == ["mathvista", "-", "0.400", "0.500"]
    assert not any("GPS" in line for line in lines)


def test_the_page_holds_its_pictures_and_escapes_what_a_model_wrote(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, format="PNG")
    example = {
        "prompt": Prompt(
            prompt_id="a",
            question="<image>Is 2 < 3?",
            answer="<b>yes</b>",
            images=(EncodedImage.from_bytes(buffer.getvalue()),),
        ),
        "responses": {
            "base": ("<script>alert(1)</script>", False, 2),
            "rl": ("<think> é </think>", True, 31),
        },
    }
    path = write_report(tmp_path / "report.html", (), SUMMARY, [example], title="a & b")
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page  # no run, so nothing to draw
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;yes&lt;/b&gt;" in page
    assert "Is 2 &lt; 3?" in page
    assert "<title>a &amp; b</title>" in page
    assert page.count("data:image/png;base64,") == 1
    assert 'src="http' not in page
    assert "rl: right, 31 tokens" in page
    assert "base: wrong, 2 tokens" in page
