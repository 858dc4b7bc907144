"""The blindness probe in an RL run changes no sample and no weight."""

import json
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.long.test_blindness import MODEL, ROOT, config_of
from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=64, num_validation=1, num_test=1, num_demonstrations=1)
    return folder


def test_the_probe_changes_no_sample_and_no_weight_of_a_run(figures, tmp_path):
    found = []
    for is_probed in ("true", "false"):
        folder = tmp_path / is_probed
        folder.mkdir()
        command = [sys.executable, "-m", "vr1_ray.cli", "rl", config_of(folder, figures, MODEL)]
        done = subprocess.run(
            [*command, f"blindness.at_stage_start={is_probed}"],
            cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        lines = (folder / "run/metrics.jsonl").read_text().splitlines()
        weights = load_file(folder / "run/policy/model.safetensors")
        found.append(([json.loads(line) for line in lines], weights))
    (probed, weights), (plain, others) = found
    assert all("blindness/looks_rate" in row for row in probed)  # each step begins a stage
    assert not any(name.startswith("blindness/") for row in plain for name in row)
    for row, other in zip(probed, plain, strict=True):
        names = [name for name in other if not name.startswith(("time/", "tokens_per_second"))]
        assert {name: row[name] for name in names} == {name: other[name] for name in names}
    assert [name for name in weights if not weights[name].equal(others[name])] == []
