"""`vr1 config` says of every key what the schema says, and no more."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from vr1_ray.cli import main
from vr1_ray.commands.config import COLUMNS, diff_text, reference_text
from vr1_ray.config import OptimizerConfig, RunConfig, StageConfig
from vr1_ray.config.fields import by_key
from vr1_ray.config.loading import config_text

SOURCES = [path.read_text() for path in Path("vr1_ray/config").glob("*.py")]
WORDS = " ".join(word for source in SOURCES for word in source.replace("#", " ").split())


def table():
    _, rule, *rows = reference_text(is_markdown=True).splitlines()
    assert rule.count("---") == len(COLUMNS)
    cells = [[cell.strip() for cell in row.replace("\\|", "¦").split("|")[1:-1]] for row in rows]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in cells}


def test_every_key_of_a_resolved_config_is_in_the_table():
    def keys(section, prefix=""):
        for one in fields(section):
            value = getattr(section, one.name)
            if is_dataclass(value):
                yield from keys(value, f"{prefix}{one.name}.")
            else:
                yield f"{prefix}{one.name}"

    assert set(keys(RunConfig())) <= set(table())
    assert {f"curriculum.stages[].{one.name}" for one in fields(StageConfig)} <= set(table())
    assert {f"trainer.optimizer.{one.name}" for one in fields(OptimizerConfig)} <= set(table())


def test_the_table_has_the_schemas_own_defaults():
    tree = yaml.safe_load(config_text(RunConfig(kind="rl")))
    for key, row in table().items():
        here = tree
        for part in key.split("."):
            here = here.get(part) if isinstance(here, dict) else None
        if here is not None and not isinstance(here, (dict, list)) and key != "kind":
            assert json.loads(row["default"]) == here, key


def test_each_meaning_stands_in_the_source_beside_its_field():
    for key, setting in by_key(RunConfig).items():
        words = setting.meaning.split()
        assert words, key
        assert " ".join(words[:6]) in WORDS, key
        assert table_meaning(key) == setting.meaning


TABLE = table()


def table_meaning(key):
    return TABLE[key]["meaning"].replace("¦", "|")


def test_a_key_has_its_range_its_kinds_and_its_meaning():
    told = reference_text("trainer.optimizer.lr")
    assert told.splitlines() == [
        "trainer.optimizer.lr = 1e-06    float, above 0 and at most 1    (sft, rl)",
        "    the peak, after warm-up",
    ]


@pytest.mark.parametrize("prefix", ["curriculum.stages", "curriculum.stages[0]"])
def test_a_prefix_shows_what_is_below_it(prefix):
    assert "curriculum.stages[].group_size: must be given" in reference_text(prefix)
    assert "trainer" not in reference_text(prefix)


def test_a_prefix_of_nothing_is_refused_with_the_near_miss(capsys):
    assert main(["config", "lr"]) == 2
    assert "did you mean trainer.optimizer.lr?" in capsys.readouterr().err


def test_the_difference_of_a_config_is_what_it_sets(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("kind: rl\nname: demo\nseed: 0\ntrainer: {optimizer: {lr: 0.5}}\n")
    assert diff_text(str(path)).splitlines() == [
        'name: "demo"    (default: "")',
        "trainer.optimizer.lr: 0.5    (default: 1e-06)",
    ]
    assert main(["config", "trainer", "--diff", str(path)]) == 0
    assert capsys.readouterr().out == "trainer.optimizer.lr: 0.5    (default: 1e-06)\n"


def test_the_difference_of_a_recipe_is_told_by_step_and_without_what_does_nothing_there():
    blocks = diff_text("configs/quickstart.yaml").split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "# quickstart/figure_math (figure_math)",
        "# quickstart/base (eval)",
        "# quickstart/cold_start (sft)",
        "# quickstart/rl (rl)",
    ]
    assert "num_epochs: 2.0    (default: 1.0)" in blocks[2]
    assert "rollout" not in blocks[0]


def test_a_prefix_of_a_diff_must_be_one_and_what_does_not_differ_is_said():
    with pytest.raises(ValueError, match=r"trackin: no setting begins so; did you mean tracking\?"):
        diff_text("configs/tiny_rl.yaml", "trackin")
    assert diff_text("configs/tiny_rl.yaml", "tracking") == "tracking: as by default"
