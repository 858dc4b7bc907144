"""Paths that Python hands to the readers itself, without a config that was loaded: the same rule as in a config."""

import json

import pytest

from tests.builders import picture
from vr1_ray.config import DataConfig
from vr1_ray.data import load_prompts


@pytest.mark.parametrize("home", ["~", "$PICTURES"])
def test_home_and_variables_are_written_out_in_source_and_image_root(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PICTURES", str(tmp_path))
    shown = picture(0).data
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "a.png").write_bytes(shown)
    row = {"problem": "<image>q", "answer": "1", "images": ["a.png"]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    config = DataConfig(image_root=f"{home}/shown")
    [prompt] = load_prompts(config, f"{home}/rows.jsonl", "train")
    assert prompt.images[0].data == shown
