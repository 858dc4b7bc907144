"""The run of tests/integration/test_rl_end_to_end.py with its driver killed after step 2: metric by metric the same.

`make test-faults` kills the driver too, among all else, and compares weights.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.test_rl_end_to_end import (  # noqa: F401  (fixtures)
    ROOT,
    config,
    figures,
    metrics_of,
    run,
    undisturbed,
    weights_of,
)

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]
TIMES = ("time/", "tokens_per_second")  # what may differ between equal runs


def test_a_run_killed_and_resumed_ends_with_bit_identical_weights_and_metrics(
    undisturbed,  # noqa: F811
    figures,  # noqa: F811
    tmp_path,
):
    command = config(tmp_path, figures)
    driver = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for_step(tmp_path, 2, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert not (tmp_path / "run" / "result.json").exists()
    run(command)
    expected, found = metrics_of(undisturbed), metrics_of(tmp_path)
    for row_a, row_b in zip(expected, found, strict=True):
        same = {key for key in row_a if not key.startswith(TIMES)}
        # Log-probabilities of the engine depend in their last bits on which requests share a batch.
        same -= {"logprob_diff/max", "logprob_diff/mean"}
        assert {key: row_b[key] for key in same} == {key: row_a[key] for key in same}
    weights_a, weights_b = weights_of(undisturbed), weights_of(tmp_path)
    assert [name for name in weights_a if not weights_a[name].equal(weights_b[name])] == []


def wait_for_step(folder: Path, step: int, driver: subprocess.Popen) -> None:
    """Until the checkpoint of `step` is complete and the next step has begun."""
    checkpoint = folder / "run" / "checkpoints" / f"step_{step:06d}"
    deadline = time.monotonic() + 300
    while not checkpoint.is_dir():
        assert driver.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the run did not reach the step in 300 s"
        time.sleep(0.05)
