"""The command line: help without waiting, mistakes as one line, exit codes that can be trusted."""

import subprocess
import sys
import time

import pytest

from vr1_ray.cli import main
from vr1_ray.commands.arguments import parse_arguments


def test_help_names_every_command_and_loads_nothing_heavy():
    code = "import sys; from vr1_ray.cli import main\ntry: main(['--help'])\nfinally:\n  print([m for m in ('torch', 'ray', 'vllm', 'transformers') if m in sys.modules])"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert all(
        command in done.stdout for command in ("run", "sft", "rl", "eval", "check", "status")
    )
    assert done.stdout.strip().endswith("[]")
    assert time.monotonic() - began < 30


def test_a_missing_config_is_one_line_and_exit_code_2(capsys):
    assert main(["run", "nowhere.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vr1: error: config 'nowhere.yaml' does not exist")
    assert "Traceback" not in error


def test_a_config_of_another_kind_is_refused_with_the_right_command(capsys):
    assert main(["rl", "configs/quickstart.yaml"]) == 2
    assert "vr1 run configs/quickstart.yaml" in capsys.readouterr().err


def test_checking_a_recipe_names_every_step(capsys):
    assert main(["check", "configs/quickstart.yaml"]) == 0
    printed = capsys.readouterr().out
    assert all(step in printed for step in ("figure_math", "base", "cold_start", "rl"))


def test_a_command_without_config_is_refused():
    with pytest.raises(SystemExit) as stopped:
        main(["run"])
    assert stopped.value.code == 2


def test_settings_may_stand_behind_an_option(capsys):
    parsed = parse_arguments(["check", "a.yaml", "seed=1", "--probe", "name=x", "--debug", "lr=2"])
    assert parsed.overrides == ["seed=1", "name=x", "lr=2"]
    assert parsed.probe
    for words in (
        ["check", "a.yaml", "--fly", "x=1"],
        ["status", "run", "x=1"],
        ["rl", "a.yaml", "--debug", "x"],
    ):
        with pytest.raises(SystemExit):
            parse_arguments(words)
    assert "unrecognized arguments" in capsys.readouterr().err
