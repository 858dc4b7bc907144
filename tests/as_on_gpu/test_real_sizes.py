"""The published sizes without their weights: what the trainer sends is what vLLM takes, and `vr1 check` counts as they do."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.as_on_gpu.real_sizes import NUM_PARAMETERS, SHAPES, full_config
from vr1_ray.preflight.memory import engine_kv_bytes, engine_weight_bytes
from vr1_ray.preflight.model_size import read_model_size

ROOT = Path(__file__).parents[2]
slow = pytest.mark.slow
SIZES = pytest.mark.parametrize("name", SHAPES)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `real_sizes.py` finds, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.as_on_gpu.real_sizes",
        str(tmp_path_factory.mktemp("sizes")),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@cache
def size(name: str):
    return read_model_size(f"Qwen/Qwen2.5-VL-{name}-Instruct")


@SIZES
def test_a_published_size_is_known_without_its_files_as_its_config_says(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(full_config(name)))
    assert read_model_size(str(tmp_path)) == size(name)
    assert size(name).num_parameters == NUM_PARAMETERS[name]


@slow
@SIZES
def test_the_engine_takes_every_weight_that_the_trainer_sends_and_lacks_none(found, name):
    assert found[name]["left_out"] == []
    assert found[name]["unknown"] == []
    sent = found[name]["sent"]
    assert len(set(sent)) == len(sent)
    # Embeddings, last norm, head; per layer q, k, v with bias, o, three of the MLP, two norms. The tower has a patch
    # embedding, a merger of 5, and per block qkv and projection with bias, three of the MLP with bias, two norms.
    layers, is_tied = SHAPES[name][1], SHAPES[name][7]
    assert len(sent) == 2 + (not is_tied) + 12 * layers + 1 + 5 + 12 * 32


@slow
@SIZES
def test_a_tied_head_is_sent_once_under_the_embeddings_name_and_the_engine_knows_it(found, name):
    is_tied = SHAPES[name][7]
    assert found[name]["is_tied"] == is_tied
    assert ("lm_head.weight" in found[name]["sent"]) == (not is_tied)
    assert "model.language_model.embed_tokens.weight" in found[name]["sent"]


@slow
@SIZES
def test_the_planner_counts_parameters_as_trainer_and_engine_have_them(found, name):
    counted = found[name]["parameters"]
    assert counted["sent"] == counted["engine"] == NUM_PARAMETERS[name]
    assert counted["rl"] == size(name).num_trained(
        freeze_vision_tower=False, freeze_projector=False
    )
    assert counted["cold_start"] == size(name).num_trained(
        freeze_vision_tower=True, freeze_projector=True
    )
    weights = engine_weight_bytes(size(name), dtype_bytes=2, tensor_parallel=1)
    assert weights == 2 * counted["engine"]


@slow
@SIZES
def test_the_planners_kv_cache_of_a_token_is_the_engines(found, name):
    planned = engine_kv_bytes(size(name), dtype_bytes=2, tensor_parallel=1)
    assert planned == found[name]["kv_bytes_per_token"]
