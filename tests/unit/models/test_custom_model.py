"""`examples/custom_model`: it runs, and its page has every family, with the lines of its file.

What the family must keep is asked of it in test_families.py, as of every other.
"""

import re
import runpy
import sys
from pathlib import Path

from tests.families import save_family
from vr1_ray.models import MODELS

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "custom_model"
PAGE = (EXAMPLE / "README.md").read_text()


def test_the_example_shows_what_a_picture_becomes(tmp_path, monkeypatch, capsys):
    folder = save_family(tmp_path, "internvl")
    picture = ROOT / "examples" / "your_data" / "figure.png"
    monkeypatch.setattr(sys, "argv", ["internvl.py", str(folder), str(picture)])
    runpy.run_path(str(EXAMPLE / "internvl.py"), run_name="__main__")
    first, *rest = capsys.readouterr().out.splitlines()
    tiles, tokens = map(int, re.findall(r"\d+", first))
    assert tiles > 1
    assert tokens == 4 * tiles
    assert sum(line.count("<IMG_CONTEXT>") for line in rest) == 1


def test_the_page_has_every_family_and_the_lines_of_its_file():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for model_type in MODELS:
        assert any(f"`{model_type}`" in row.split("|")[1] for row in rows), model_type
    files = re.findall(r"`(\w+\.py)`, (\d+) \|", PAGE)
    assert len(files) == 4
    for name, lines in files:
        text = (ROOT / "vr1_ray" / "models" / name).read_text()
        assert len(text.splitlines()) == int(lines), name
