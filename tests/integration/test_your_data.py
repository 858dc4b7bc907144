"""A config for rows in every form, as examples/your_data says. From them to a policy: tests/extra/test_your_data_run.py."""

from pathlib import Path

import pytest

from examples.your_data.make_rows import FORMS, WITH_RESPONSES, write_rows
from vr1_ray.commands.init import init
from vr1_ray.config import load_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yours")
    write_rows(folder / "data", 24)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_config_is_written_for_rows_in_every_form(rows, monkeypatch, form):
    monkeypatch.chdir(rows)
    said = init(form, data=f"data/{form}.jsonl", model=str(ROOT / "examples/vr1_tiny/model"))
    config = load_config(f"{form}.yaml")
    assert config.kind == ("recipe" if form in WITH_RESPONSES else "rl")
    assert "24 rows, a picture a row" in said
    assert f"vr1 run {form}.yaml" in said
    assert config.data.max_prompt_tokens < 96  # counted by the model's processor
