"""The command line: help without waiting, mistakes as one line, exit codes that can be trusted."""

import subprocess
import sys
import time

import pytest

from vr1_ray.cli import main
from vr1_ray.commands.arguments import make_parser, parse_arguments


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


def refused(words, capsys):
    """What the parser says of a command line that it ends with code 2."""
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["chek", "a.yaml"], "'chek' is no command; did you mean vr1 check?"),
        (["Eval", "a.yaml"], "did you mean vr1 eval?"),
        (["train", "a.yaml"], "did you mean vr1 run?"),
        (["a.yaml"], "did you mean vr1 run a.yaml?"),
        (["frobnicate"], "the commands are run, bridge, sft,"),
        (["rl", "a.yaml", "--debg"], "vr1 rl: error: unrecognized arguments: --debg; did you mean --debug?"),
        (["scale", "a", "--num_engines", "3"], "did you mean --engines?"),
        (["rl", "a.yaml", "--lr", "1e-3"], "did you mean the setting trainer.optimizer.lr=VALUE, without dashes?"),
        (["rl", "a.yaml", "--model.path=x"], "did you mean the setting model.path=VALUE"),
        (["rl", "a.yaml", "--debug", "seed"], "a setting is written key=value"),
    ],
)  # fmt: skip
def test_a_command_or_option_that_is_none_is_told_what_was_meant(words, meant, capsys):
    assert meant in refused(words, capsys)


def test_no_command_says_that_it_needs_a_setting(capsys):
    for command in ("run", "check", "rl", "replay"):
        said = refused([command], capsys)
        assert "required" in said
        assert "key=value" not in said.split("required")[1]


def test_options_may_be_written_with_dashes():
    parsed = parse_arguments(
        ["generate", "p", "--max-tokens", "8", "--top-p=0.5", "--question", "--a-b or c-d"]
    )
    assert (parsed.max_tokens, parsed.top_p, parsed.question) == (8, 0.5, "--a-b or c-d")
    assert parse_arguments(["status", "a", "--runs-folder", "my-runs"]).runs_folder == "my-runs"


def options_with_a_value():
    """(command, option) of every option that takes one value."""
    parser = make_parser()
    [commands] = [one for one in parser._actions if one.dest == "command"]
    for name, command in commands.choices.items():
        for action in command._actions:
            if action.option_strings and action.nargs is None and action.dest != "image":
                yield name, action.option_strings[0]


@pytest.mark.parametrize(("command", "option"), list(options_with_a_value()))
def test_an_option_that_is_given_twice_is_refused(command, option, capsys):
    said = refused([command, option, "1", option, "2"], capsys)
    assert f"argument {option}: given twice" in said


def test_settings_of_several_set_options_all_count():
    parsed = parse_arguments(["generate", "p", "--set", "a=1", "b=2", "--set", "c=3"])
    assert parsed.set == ["a=1", "b=2", "c=3"]
