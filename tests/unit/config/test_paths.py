"""`~` and `$NAME` mean in every setting that names a file or folder, and on the command line, what they mean in a shell."""

import re

import pytest

from vr1_ray.cli import main
from vr1_ray.commands.arguments import parse_arguments
from vr1_ray.config import ConfigError, load_config
from vr1_ray.config.fields import by_key
from vr1_ray.config.loading import typed_overrides
from vr1_ray.config.paths import is_path, no_path, written_out
from vr1_ray.config.schema import RunConfig
from vr1_ray.config.tables import find

PATHS = {"data.prompt_column", "data.answer_column", "data.images_column"}
PATHS = [key for key, setting in by_key(RunConfig).items() if is_path(setting.hint)]
SOURCE = {"reader": "jsonl", "path": "x"}


def read(key, value):
    """What a config that sets `key` makes of the value."""
    where, value_of = key, f"[{value}]" if key == "data.demonstrations" else value
    if key.startswith("bridge.sources[]."):
        where = "bridge.sources"
        value_of = f"[{{{', '.join(f'{name}: {one}' for name, one in (SOURCE | {key[17:]: value}).items())}}}]"
    found = typed_overrides([f"{where}={value_of}"])
    for part in key.replace("[]", ".0").split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    return found[0] if isinstance(found, list) else found


def test_the_settings_that_name_a_file_or_folder_are_paths():
    named = ("path", "folder", "root", "file", "prompts", "rules", "responses", "output", "data", "train", "demonstrations")  # fmt: skip
    texts = {key for key, setting in by_key(RunConfig).items() if "str" in str(setting.hint)}
    assert {key for key in texts if key.rpartition(".")[2].endswith(named)} == set(PATHS)


@pytest.mark.parametrize("key", PATHS)
def test_a_path_of_a_config_is_written_out(key, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert read(key, "~/x") == "/home/me/x"
    assert read(key, "$SCRATCH/x") == "/scratch/me/x"


@pytest.mark.parametrize("key", PATHS)
def test_one_that_cannot_be_written_out_is_refused_with_the_cure(key, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(ConfigError, match="NOWHERE is not set; set it, or write the path out"):
        read(key, "$NOWHERE/x")
    with pytest.raises(ConfigError, match="knows no home of ~nobody_here; write the path out"):
        read(key, "~nobody_here/x")


def test_a_file_whose_name_is_like_a_variable_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$x").mkdir()
    assert (written_out("$x"), no_path("$x")) == ("$x", "")


def test_a_config_and_a_file_with_code_are_found_so_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.yaml").write_text("kind: eval\nname: a\n")
    (tmp_path / "mine.py").write_text("def reward():\n    pass\n")
    assert load_config("~/a.yaml").name == "a"
    assert find({}, "$HOME/mine.py:reward", "rewards[0].name").__name__ == "reward"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("runs ~/x", "folder"), ("status ~/x", "run"), ("status a --runs_folder=~/x", "runs_folder"), ("replay ~/x --step=1", "run"),
        ("scale ~/x", "run"), ("report ~/x", "runs"), ("compare ~/x b", "runs"), ("report a --to=~/x", "to"), ("init a --data=~/x", "data"),
        ("init a --model=~/x", "model"), ("generate ~/x", "policy"), ("generate a --image=~/x", "image"),
        ("generate a --input=~/x", "input"), ("generate a --output=~/x", "output"),
    ],
)  # fmt: skip
def test_a_path_on_the_command_line_is_written_out(words, name, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = getattr(parse_arguments(words.split()), name)
    assert (found[0] if isinstance(found, list) else found) == "/home/me/x"


def test_one_that_cannot_be_is_refused_there_as_well(capsys, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(SystemExit):
        main(["runs", "$NOWHERE/x"])
    assert "NOWHERE is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("https://huggingface.co/datasets/hiyouga/geometry3k", "give its name on the hub, hiyouga/geometry3k"),
        ("https://huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct/tree/main", "give its name on the hub, Qwen/Qwen2.5-VL-7B-Instruct"),
        ("https://example.org/rows.jsonl", "download it, and give its path"),
        ("s3://bucket/rows", "download it, and give its path"),
    ],
)  # fmt: skip
def test_a_url_is_no_path(url, cure):
    for key in PATHS:
        with pytest.raises(ConfigError, match=f"is a URL; {re.escape(cure)}"):
            read(key, url)


def test_a_url_on_the_command_line_is_none_either(capsys):
    with pytest.raises(SystemExit):
        main(
            [
                "generate",
                "policy",
                "--image",
                "https://example.org/a.png",
                "--question",
                "How many?",
            ]
        )
    assert "is a URL; download it, and give its path" in capsys.readouterr().err
