"""Which adapter a model folder gets, and what a bad folder is told."""

import json
import shutil

import pytest

from tests.builders import TINY_MODEL, picture
from vr1_ray.config import ModelConfig
from vr1_ray.models import MODELS, load_adapter
from vr1_ray.models.qwen2_5_vl import Qwen25VLAdapter
from vr1_ray.types import Prompt


def test_the_tiny_model_gets_the_qwen2_5_vl_adapter():
    assert isinstance(load_adapter(ModelConfig(path=str(TINY_MODEL))), Qwen25VLAdapter)


def test_every_row_of_the_table_is_the_type_its_adapter_names():
    for model_type, adapter in MODELS.items():
        assert model_type in adapter.model_types


@pytest.mark.parametrize("path", ["", "./nowhere", "/nowhere/at/all", "no-such-model"])
def test_a_missing_folder_is_refused_by_field_and_value(path):
    with pytest.raises(ValueError, match=f"model.path={path!r}.*hub name"):
        load_adapter(ModelConfig(path=path))


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"model\.path=.*no config\.json"):
        load_adapter(ModelConfig(path=str(tmp_path)))


def test_an_unreadable_config_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ValueError, match=r"model\.path=.*can't be read"):
        load_adapter(ModelConfig(path=str(tmp_path)))


def test_an_unknown_family_names_itself_and_the_known_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"'bert'; known: .*qwen2_5_vl"):
        load_adapter(ModelConfig(path=str(tmp_path)))


def test_a_family_that_people_ask_for_is_refused_with_the_reason(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mllama"}))
    with pytest.raises(
        ValueError, match=r"'mllama' \(vLLM runs no Llama 3\.2 Vision .*\); known: "
    ):
        load_adapter(ModelConfig(path=str(tmp_path)))


def test_a_folder_without_processor_is_refused(tmp_path):
    (tmp_path / "config.json").write_text((TINY_MODEL / "config.json").read_text())
    with pytest.raises(ValueError, match=r"model\.path=.*processor"):
        load_adapter(ModelConfig(path=str(tmp_path)))


class OutsideAdapter(Qwen25VLAdapter):
    """A family kept outside the package."""


def test_a_family_outside_the_package_is_named_in_model_adapter(tmp_path):
    config = ModelConfig(path=str(TINY_MODEL), adapter=f"{__name__}:OutsideAdapter")
    assert type(load_adapter(config)).__name__ == "OutsideAdapter"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(
        ValueError, match=r"'bert'; known: .*model\.adapter as package\.module:Name"
    ):
        load_adapter(ModelConfig(path=str(tmp_path)))


def test_what_is_no_adapter_is_refused_by_field_and_value():
    with pytest.raises(ValueError, match=r"model\.adapter='pathlib:Path' is no ModelAdapter"):
        load_adapter(ModelConfig(path=str(TINY_MODEL), adapter="pathlib:Path"))


def copy_without(folder, name):
    shutil.copytree(TINY_MODEL, folder / "model")
    (folder / "model" / name).unlink()
    return ModelConfig(path=str(folder / "model"))


def test_a_folder_without_its_tokenizer_is_refused_and_not_its_questions(tmp_path):
    with pytest.raises(
        ValueError, match=r"model\.path=.*lacks <\|image_pad\|>: tokenizer\.json is missing"
    ):
        load_adapter(copy_without(tmp_path, "tokenizer.json"))


def test_a_chat_template_without_pictures_is_blamed_and_not_the_question(tmp_path):
    config = copy_without(tmp_path, "chat_template.jinja")
    template = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
    (tmp_path / "model" / "chat_template.jinja").write_text(template)
    prompt = Prompt(prompt_id="a", question="<image>How many?", images=(picture(),))
    with pytest.raises(
        ValueError, match=r"the chat template of model\.path=.* makes 0 image placeholders of 1"
    ):
        load_adapter(config).render(prompt)
