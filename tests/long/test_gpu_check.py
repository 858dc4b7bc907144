"""`make gpu-check` rehearsed on CPU: its parts run as they would on a GPU, and notice what they are there for.

With the transformers engine, which starts at once; with vLLM, and the parts that are missing here: `tests/extra`.
"""

from dataclasses import replace

import pytest

from examples.gpu_check.bench import Bench
from examples.gpu_check.machine import look
from examples.gpu_check.running import run_parts
from examples.gpu_check.table import chosen
from tests.processes import in_a_process

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
NOT_HERE = {"sync_ipc"}


@pytest.fixture(scope="module")
def machine():
    """This one, without vLLM."""
    found = look()
    packages = {name: one for name, one in found.packages.items() if not name.startswith("vllm")}
    return replace(found, gpus=(), packages=packages)


def rehearse(machine, folder, *words, gpus=1):
    rows = run_parts(
        chosen(words),
        machine,
        device="cpu",
        gpus=gpus,
        folder=folder,
        seconds=600.0,
        show=lambda row: print(row),
    )
    return {row.row: row for row in rows}


def assert_passed(found):
    assert {name: row.cause for name, row in found.items() if row.status == "failed"} == {}
    assert {name for name, row in found.items() if row.status == "left out"} <= NOT_HERE


def test_engine_trainer_every_zero_stage_and_optimizer_agree(machine, tmp_path):
    found = rehearse(machine, tmp_path, "rate", "engine", "zero", "optimizer")
    assert_passed(found)
    assert found["engine_starts"].figures["engine"] == "hf"
    assert found["ban"].figures["expected_without_ban"] > 20
    for name in ("parity", "parity_synced"):
        assert found[name].figures["max"] < 1e-4
    assert found["parity_synced"].figures["moved_by"] > 1e-3
    for stage in range(4):
        assert found[f"zero_{stage}"].figures["before_max"] == 0.0
        assert found[f"zero_{stage}"].figures["after_max"] < 1e-4


def test_a_fleet_sleeps_wakes_syncs_and_loses_no_group_with_a_killed_engine(machine, tmp_path):
    found = rehearse(machine, tmp_path, "fleet")
    assert_passed(found)
    assert found["sync_object_store"].figures["max"] < 1e-4
    assert found["kill"].figures["restarts"] == 1
    assert found["kill"].figures["same_start"] == 1.0


def check_an_engine_that_keeps_its_old_weights(folder):
    from examples.gpu_check.parts import engine as part
    from vr1_ray.rollout.hf_engine import HFEngine

    class Deaf(HFEngine):
        """It says that it has the new weights."""

        async def load_weights(self, version, buckets, in_flight="wait"):
            self._policy_version = version

    bench = Bench(
        device="cpu", gpus=1, gib=0.0, host_gib=24.0, packages={}, folder=folder, seconds=300.0
    )
    model = part._model(bench, "float32")
    sampler = part.Sampler(bench, model)
    sampler.engine.__class__ = Deaf
    part._parity(bench, sampler, model, ("parity", "parity_synced"))
    sampler.close()


def test_an_engine_that_keeps_its_old_weights_is_found_out(tmp_path):
    in_a_process(check_an_engine_that_keeps_its_old_weights, tmp_path)
    told = (tmp_path / "events.jsonl").read_text().splitlines()
    assert '"parity", "status": "passed"' in told[1]
    assert '"parity_synced", "status": "failed"' in told[3]
    assert "log-probabilities differ by" in told[3]
