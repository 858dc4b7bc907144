"""Rows of `vr1 check` that try the model's template and tokenizer."""

import shutil

from tests.builders import PROCESSOR_FILES, TINY_MODEL
from vr1_ray.config import ModelConfig
from vr1_ray.models import load_adapter
from vr1_ray.preflight.rehearsal import format_row


def folder_with(tmp_path, opening):
    """vr1-tiny's tokenizer and processor, its template ending with `opening`."""
    for name in ("config.json", *PROCESSOR_FILES):
        shutil.copy(TINY_MODEL / name, tmp_path / name)
    template = tmp_path / "chat_template.jinja"
    template.write_text(template.read_text() + opening)
    return load_adapter(ModelConfig(path=str(tmp_path)))


def test_a_template_that_opens_the_thought_itself_is_refused_with_its_cure(tmp_path):
    """As those of the Thinking models do: the response would lack what the hard format asks for."""
    row = format_row(folder_with(tmp_path, "{{- '<think>\\n' -}}"))
    assert (row.status, row.value) == ("bad", "the chat template opens <think> itself")
    assert "take the Instruct model" in row.cure


def test_a_template_that_only_tells_of_thoughts_is_sound(tmp_path):
    assert (
        format_row(folder_with(tmp_path, "{{- 'Open with <think> and then \\n' -}}")).status == "ok"
    )
