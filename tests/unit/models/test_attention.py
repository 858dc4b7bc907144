"""`model.attention: auto` takes flash-attention where it can run, for every part of the model."""

import pytest
import torch
import transformers.utils

from tests.unit.training.sample_rows import model_config
from vr1_ray.models import load_adapter
from vr1_ray.models.attention import chosen_attention


@pytest.mark.parametrize(
    ("attention", "dtype", "is_installed", "chosen"),
    [
        ("auto", "bfloat16", True, "flash_attention_2"),
        ("auto", "bfloat16", False, "sdpa"),
        ("auto", "float32", True, "sdpa"),  # it has no float32 kernels
        ("sdpa", "bfloat16", True, "sdpa"),
        ("flash_attention_2", "bfloat16", False, "flash_attention_2"),
        ("eager", "float32", True, "eager"),
    ],
)
def test_auto_is_flash_attention_where_it_can_run(
    attention, dtype, is_installed, chosen, monkeypatch
):
    monkeypatch.setattr(transformers.utils, "is_flash_attn_2_available", lambda: is_installed)
    assert chosen_attention(model_config(attention=attention, dtype=dtype)) == chosen


def test_without_a_gpu_auto_is_sdpa():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert chosen_attention(model_config(dtype="bfloat16")) == "sdpa"


def test_the_vision_tower_gets_the_same_attention_as_the_language_model():
    config = model_config(attention="eager")
    model = load_adapter(config).load_model(dtype=torch.float32, attention=chosen_attention(config))
    parts = (model, model.model.visual, model.model.language_model)
    assert [part.config._attn_implementation for part in parts] == ["eager"] * 3
