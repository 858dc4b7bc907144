"""Parameters and KV cache of a model follow from its config.json, and what can't be read is said."""

import json
import math
import struct
from pathlib import Path

import pytest

from tests.unit.preflight.shapes import published_config, published_size
from vr1_ray.preflight.model_size import UnknownModelError, read_model_size

TINY = Path(__file__).parents[3] / "examples/vr1_tiny/model"


def test_qwen2_5_vl_7b_has_its_published_number_of_parameters(tmp_path):
    size = published_size("7b", tmp_path)
    # Language model: embeddings and head 2 x 152064 x 3584 = 1_089_994_752; a layer has q and o
    # 2 x 3584^2, k and v 2 x 3584 x 512, biases 3584 + 1024, MLP 3 x 3584 x 18944, norms 2 x 3584
    # = 233_057_792, times 28 = 6_525_618_176; the last norm 3584.
    assert size.text.num_parameters == 1_089_994_752 + 6_525_618_176 + 3584
    # Merger: norm 1280, 5120 x 5120 + 5120, 5120 x 3584 + 3584.
    assert size.vision.merger_parameters == 44_574_464
    # transformers' own Qwen2_5_VLForConditionalGeneration of this config has so many.
    assert size.num_parameters == 8_292_166_656


@pytest.mark.parametrize(("name", "total"), [("32b", 33_452_718_336), ("72b", 73_410_777_344)])
def test_the_larger_ones_have_transformers_number_of_parameters(tmp_path, name, total):
    assert published_size(name, tmp_path).num_parameters == total


@pytest.mark.parametrize(
    ("name", "total"),
    [  # as their makers state them; no published file was at hand
        ("Qwen2-VL-2B", 2_208_985_600),
        ("Qwen2-VL-7B", 8_291_375_616),
        ("Qwen2-VL-72B", 73_405_560_320),
        ("Qwen3-VL-2B", 2_127_532_032),
        ("Qwen3-VL-4B", 4_437_815_808),
        ("Qwen3-VL-8B", 8_767_123_696),
        ("Qwen3-VL-32B", 33_357_390_064),
    ],
)
def test_a_published_model_is_sized_by_its_name(name, total, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert read_model_size(f"Qwen/{name}-Instruct").num_parameters == total


def test_kv_cache_of_7b_takes_57344_bytes_a_token(tmp_path):
    # key and value x 28 layers x 4 KV heads x 128 x 2 bytes
    assert (
        published_size("7b", tmp_path).text.kv_bytes_per_token(2) == 2 * 28 * 4 * 128 * 2 == 57_344
    )


def test_freezing_leaves_the_language_model(tmp_path):
    size = published_size("7b", tmp_path)
    trained = size.num_trained(freeze_vision_tower=True, freeze_projector=True)
    assert trained == size.text.num_parameters
    assert (
        size.num_trained(freeze_vision_tower=True, freeze_projector=False) == trained + 44_574_464
    )


def test_the_tiny_models_weights_on_disk_are_as_many_as_reckoned():
    with open(TINY / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    header.pop("__metadata__", None)
    on_disk = sum(math.prod(tensor["shape"]) for tensor in header.values())
    assert read_model_size(str(TINY)).num_parameters == on_disk


def test_both_layouts_of_a_config_give_the_same_size(tmp_path):
    flat = published_config("7b")
    nested = {key: flat.pop(key) for key in ("model_type", "vision_config", "tie_word_embeddings")}
    nested["text_config"] = flat
    (tmp_path / "config.json").write_text(json.dumps(nested))
    assert read_model_size(str(tmp_path)).num_parameters == 8_292_166_656


def test_a_hub_model_is_read_from_the_local_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnknownModelError, match=r"hf download Some/Model config\.json"):
        read_model_size("Some/Model")
    cached = tmp_path / "models--Some--Model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text("abc")
    snapshot = cached / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(published_config("7b")))
    assert read_model_size("Some/Model").num_parameters == 8_292_166_656


def test_what_can_not_be_sized_is_named(tmp_path):
    with pytest.raises(UnknownModelError, match=r"holds no config\.json"):
        read_model_size(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(UnknownModelError, match="llava"):
        read_model_size(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(UnknownModelError, match="vision_config"):
        read_model_size(str(tmp_path))
    (tmp_path / "config.json").write_text("not JSON")
    with pytest.raises(UnknownModelError, match="download the model again"):
        read_model_size(str(tmp_path))
