"""Files that come with the package are found from any folder, those of the present folder first."""

from pathlib import Path

from vr1_ray.config import load_config, recipe_runs
from vr1_ray.config.shipped import shipped, shipped_configs

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
