"""`vr1 bridge` end to end: Ray Data, HTTP servers, the rules, the dataset; and a second run that asks nothing."""

import json

import pytest

from vr1_ray.config import DataConfig, check_config, load_config
from vr1_ray.data import load_demonstrations
from vr1_ray.loops.recipe_loop import run_one
from vr1_ray.runs.stopping import StopSignal

NUM_ROWS = 40


def settings(folder, *overrides):
    config = load_config(
        "configs/bridge_quickstart.yaml",
        [
            f"runs_folder={folder}",
            f"bridge.rehearsal.num_questions={NUM_ROWS}",
            "bridge.rows_per_block=8",
            "cluster.step_timeout_seconds=120",
            *overrides,
        ],
    )
    check_config(config)
    return config


@pytest.mark.ray
def test_a_rehearsal_builds_demonstrations_and_a_second_run_asks_nothing(local_ray, tmp_path):
    stop = StopSignal()
    config = settings(tmp_path, "bridge.rehearsal.without_answer=false")
    first = run_one(config, stop)
    assert first["asked"] == NUM_ROWS
    assert 20 <= first["kept"] == NUM_ROWS - sum(first["dropped"].values())
    assert first["precision"] >= 0.95  # of about 26 chains; the quickstart has the figure of 1,000
    assert first["recall"] == 1.0
    dataset = config.folder / "dataset"
    file = dataset / "demonstrations_llava.json"
    assert len(load_demonstrations(DataConfig(demonstrations=[str(file)]))) == first["kept"]
    assert sum(1 for _ in (config.folder / "dropped.jsonl").open()) == NUM_ROWS - first["kept"]
    summary = json.loads((config.folder / "summary.json").read_text())
    assert {"asked", "kept", "precision", "recall", "drawing_consistency", "dropped"} <= set(
        summary
    )

    assert not (config.folder / "store.sqlite-wal").exists()  # the store alone has all replies

    before, requests = file.read_bytes(), first["reasoner_requests"]
    again = run_one(settings(tmp_path, "bridge.rehearsal.without_answer=true"), stop)
    assert file.read_bytes() == before
    new = {stage: used["new_replies"] for stage, used in again["usage"].items()}
    failed = sum(n for reason, n in again["dropped"].items() if reason.endswith("_failed"))
    assert sum(new.values()) <= failed  # only what got no reply before is asked for again
    assert again["reasoner_requests"] > requests  # the chains without the answer
    assert set(again["without_answer"]) >= {"drawing_consistency", "by_fault"}


@pytest.mark.ray
def test_a_wrong_address_ends_the_run_with_the_setting_to_mend(local_ray, tmp_path):
    from tests.unit.endpoints.scripted_server import Reply, serve

    with serve(Reply({"error": {"message": "no such model"}}, 404)) as (_, url):
        config = settings(
            tmp_path,
            "bridge.mllm.command=[]",
            f"bridge.mllm.base_urls=[{url}/v1]",
        )
        with pytest.raises(
            RuntimeError, match=r"bridge\.mllm: .*answers 404.*check base_urls, model"
        ):
            run_one(config, StopSignal())
