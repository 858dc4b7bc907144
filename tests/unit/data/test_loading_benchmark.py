"""examples/benchmarks/loading.py on a few rows: it does what a run does, and the second start opens no picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


def test_a_small_one_reads_every_row_twice(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "examples/benchmarks/loading.py"),
            *("--rows", "30", "--distinct", "5", "--kilobytes", "4"),
            *("--keep", str(tmp_path), "--write", str(tmp_path / "found.json")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rows"] == 30
    for start in ("first_start", "second_start"):
        assert found[start]["rows_read"] == 30
        assert found[start]["rows_per_second"] > 0
        assert found[start]["peak_gb_driver"] < 2
