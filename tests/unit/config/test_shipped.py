"""Files that come with the package are found from any folder, those of the present folder first."""

from pathlib import Path

import pytest

from vr1_ray.config import ConfigError, load_config, recipe_runs
from vr1_ray.config.shipped import config_file, shipped, shipped_configs

ROOT = Path(__file__).parents[3]
MODEL = "examples/vr1_tiny/model"


def test_a_shipped_file_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped(MODEL) == str(ROOT / MODEL)
    recipe = load_config("configs/quickstart.yaml")
    assert recipe.model.path == str(ROOT / MODEL)
    assert recipe_runs(recipe)[1].model.path == str(ROOT / MODEL)
    assert recipe.eval.data == "runs/quickstart/figure_math"


def test_what_the_present_folder_has_comes_first(tmp_path, monkeypatch):
    (tmp_path / MODEL).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert shipped(MODEL) == MODEL


def test_only_what_is_shipped_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("examples/nothing", "tests/conftest.py", "configs/../setup.py", "", "mine.yaml"):
        assert shipped(path) == path


def test_an_installed_package_finds_its_own_copies(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "vr1_ray"
    (package / "shipped/configs").mkdir(parents=True)
    (package / "shipped/configs/mine.yaml").write_text("kind: rl\n")
    (package.parent / "configs").mkdir()  # of another package: no repository is here
    (package.parent / "configs/theirs.yaml").write_text("kind: rl\n")
    monkeypatch.setattr("vr1_ray.config.shipped._PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert shipped("configs/mine.yaml") == str(package / "shipped/configs/mine.yaml")
    assert shipped("configs/theirs.yaml") == "configs/theirs.yaml"
    assert shipped_configs() == ["configs/mine.yaml"]


def test_a_config_is_found_without_its_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("kind: rl")
    Path("other.yml").write_text("kind: rl")
    assert config_file("mine") == Path("mine.yaml")
    assert config_file("other") == Path("other.yml")
    assert config_file("configs/tiny_rl") == ROOT / "configs" / "tiny_rl.yaml"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("mime.yaml", "'mime.yaml' does not exist; did you mean mine.yaml?"),
        ("deep/mime", "'deep/mime' does not exist; did you mean deep/mine.yaml?"),
        ("quickstart", "did you mean configs/quickstart.yaml?"),
        ("vision_r1/rl_7b_8gpus.yaml", "did you mean configs/vision_r1/rl_7b_8gpu.yaml?"),
        ("nowhere", "'nowhere' does not exist; the shipped ones are configs/bridge_quickstart.yaml, "),
        ("deep", "'deep' is a folder; give one of its files: deep/mine.yaml, deep/other.yml"),
        ("configs/vision_r1", "is a folder; give one of its files: configs/vision_r1/cold_start_7b.yaml, "),
        ("empty", "'empty' is a folder; it holds no .yaml file"),
    ],
)  # fmt: skip
def test_what_is_no_config_is_told_with_the_one_that_was_meant(given, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    Path("empty").mkdir()
    for name in ("mine.yaml", "deep/mine.yaml", "deep/other.yml", "deep/a.txt"):
        Path(name).write_text("kind: rl")
    with pytest.raises(ConfigError) as raised:
        config_file(given)
    assert told in str(raised.value)
