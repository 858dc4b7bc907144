"""The ten lines of Python, and every command of the README: run as they stand, or checked, with the reason.

Both are run in a folder of their own, as by someone who has no repository: what they name is found where it is.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import vr1_ray
from tests.builders import picture
from vr1_ray.cli import main
from vr1_ray.commands.arguments import COMMANDS, make_parser
from vr1_ray.config import check_config, load_config

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "python"
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ten_lines(tmp_path_factory) -> Path:
    """The folder in which the ten lines, and then what else the page shows, were run."""
    folder = tmp_path_factory.mktemp("ten_lines")
    for name in ("ten_lines", "by_hand"):
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py")],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        (folder / f"{name}.txt").write_text(done.stdout)
    return folder


def test_the_ten_lines_are_those_of_the_page():
    fences = dict(FENCE.findall((EXAMPLES / "README.md").read_text()))
    assert fences["python"] == (EXAMPLES / "ten_lines.py").read_text()
    lines = [line for line in fences["python"].splitlines() if line]
    assert len(lines) == 10


def test_the_ten_lines_train_with_a_function_and_a_dataset(ten_lines):
    run = ten_lines / "runs" / "ten_lines"
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert [(one["name"], one["weight"]) for one in saved["rewards"]] == [
        ("hard_format", 1.0),
        ("object:is_short", 0.1),
    ]
    assert saved["data"]["train"] == "object:prompts"
    assert set(saved["objects"]) == {"object:is_short", "object:prompts"}
    rows = vr1_ray.read_metrics(run)
    assert [(row["step"], row["max_response_tokens"]) for row in rows] == [(1, 24), (2, 48)]
    for row in rows:
        expected = row["reward/hard_format"] + 0.1 * row["reward/object:is_short"]
        assert row["reward/mean"] == pytest.approx(expected)
    # The function itself scored, in a reward actor: each saved response has what it says of it.
    rollouts = vr1_ray.read_rollouts(run)
    assert len(rollouts) == 4 * 4 + 4 * 2
    assert {row["reward/object:is_short"] for row in rollouts} <= {0.0, 1.0}
    for row in rollouts:
        assert row["reward/object:is_short"] == (row["response_tokens"] <= 2)
    printed = (ten_lines / "ten_lines.txt").read_text().splitlines()
    assert str([row["reward/mean"] for row in rows]) in printed


def test_the_model_card_of_the_ten_lines_says_what_was_handed_over(ten_lines):
    card = (ten_lines / "runs/ten_lines/policy/README.md").read_text()
    assert "object:is_short" in card
    assert "`object:prompts`, handed over in Python | Dataset of 32 rows" in card


def test_by_hand_shows_scores_stages_rows_and_responses(ten_lines):
    printed = (ten_lines / "by_hand.txt").read_text()
    assert "wrong: 0.0" in printed
    assert "'reward': 1.5" in printed
    assert "step 6: 112 tokens x 16\nstep 7: 224 tokens x 8  ! step 7, stage 2: 100% of" in printed
    assert "[(1, 6, 0.5), (2, 4, 0.5)]" in printed
    assert "8 responses of" in printed


def test_the_command_line_refuses_to_go_on_with_objects_it_was_not_handed(ten_lines, capsys):
    config = str(ten_lines / "runs/ten_lines/config.yaml")
    stage = "curriculum.stages=[{max_response_tokens: 24, group_size: 4, steps: 9}]"
    assert main(["rl", config, f"runs_folder={ten_lines / 'runs'}", stage]) == 2
    assert "vr1_ray.run" in capsys.readouterr().err


def test_other_objects_than_the_run_had_are_refused(ten_lines, monkeypatch):
    monkeypatch.chdir(ten_lines)
    config = load_config("configs/tiny_rl.yaml", ["name=ten_lines"])

    def is_short(reward_input):  # another one of the same name
        return 1.0

    with pytest.raises(ValueError, match=r"objects: changed since .*hand vr1_ray.run the same"):
        vr1_ray.run(config, rewards=["hard_format", (is_short, 0.1)])


# Commands of the README, by their first word or two: how each is tried here, and why not simply run.


def dry(words: list[str], folder: Path) -> None:
    """`make`: it sets environments up and takes minutes to hours; what it would run is asked for, and looked at."""
    done = subprocess.run(
        ["make", "--dry-run", *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "make test" not in " ".join(words) or "pytest tests/integration" in done.stdout
    for config in re.findall(r"vr1 run (\S+)", done.stdout):
        load_config(ROOT / config)


def checked(words: list[str], folder: Path) -> None:
    """`vr1 sft|rl|eval|bridge|run CONFIG`: it needs GPUs, the released data and hours; its settings are verified."""
    if len(words) == 2:  # named in a sentence
        assert words[1] in COMMANDS
        return
    config = load_config(words[2], words[3:])
    check_config(config)
    assert words[1] in ("run", config.kind)


def run_here(words: list[str], folder: Path) -> None:
    """`vr1 check CONFIG`: it needs nothing but the config, and is run."""
    if len(words) > 2:
        assert main([*words[1:], "cluster.address=local"]) == 0


def on_the_tiny_run(words: list[str], folder: Path) -> None:
    """`vr1 status|generate ...`: run as it stands, on the run that the ten lines left, with a picture."""
    (folder / "figure.png").write_bytes(picture(0).data)
    names = {"RUN": "ten_lines", "runs/NAME/policy": "runs/ten_lines/policy", "...": "How many?"}
    words = [names.get(word, word) for word in words[1:]]
    if words[0] == "generate":
        words += ["--engine", "hf", "--max_tokens", "8"]
    assert main(words) == 0


def parsed(words: list[str], folder: Path) -> None:
    """`vr1 scale RUN`: it needs a run that lives (tests/integration/test_control.py has one); here it is read."""
    assert make_parser().parse_args(words[1:])


HOW: dict[str, Callable[[list[str], Path], None]] = {
    "make": dry,
    "vr1 check": run_here,
    "vr1 run": checked,
    "vr1 sft": checked,
    "vr1 rl": checked,
    "vr1 eval": checked,
    "vr1 bridge": checked,
    "vr1 status": on_the_tiny_run,
    "vr1 report": on_the_tiny_run,
    "vr1 generate": on_the_tiny_run,
    "vr1 scale": parsed,
    "vr1 init": parsed,  # and by tests/integration/test_your_data.py
    "vr1 config": parsed,  # and by tests/unit/commands/test_config.py
}


def commands_of(text: str) -> list[list[str]]:
    """Every command of a page, as words: lines of shell blocks, and what stands in back quotes in a sentence."""
    lines = [
        line
        for language, block in FENCE.findall(text)
        if language in ("bash", "sh", "shell", "console")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    prose = FENCE.sub("", text)
    lines += [one for one in re.findall(r"`([^`]+)`", prose) if re.match(r"(make|vr1) [a-z]", one)]
    found = [shlex.split(line, comments=True) for line in lines]
    return [[Path(words[0]).name, *words[1:]] for words in found if words]


def table_row(words: list[str]) -> str:
    return words[0] if words[0] == "make" else " ".join(words[:2])


def test_the_readme_has_commands_and_each_is_in_the_table():
    commands = commands_of(README)
    assert ["make", "quickstart"] in commands
    assert ["vr1", "rl", "configs/vision_r1/rl_7b.yaml"] in commands
    assert [" ".join(words) for words in commands if table_row(words) not in HOW] == []


def test_a_command_that_is_in_no_table_is_found():
    text = "Say `vr1 fly RUN` or\n\n```bash\n# so\n.venv/bin/vr1 swim \\\n  x.yaml  # deep\n```\n"
    found = [words for words in commands_of(text) if table_row(words) not in HOW]
    assert found == [["vr1", "swim", "x.yaml"], ["vr1", "fly", "RUN"]]


@pytest.mark.parametrize("words", commands_of(README), ids=" ".join)
def test_each_command_of_the_readme_works(words, ten_lines, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(ten_lines)
    HOW[table_row(words)](words, ten_lines)


def test_the_result_of_the_ten_lines_is_on_disk_as_of_any_run(ten_lines):
    result = json.loads((ten_lines / "runs/ten_lines/result.json").read_text())
    assert result["policy"] == "runs/ten_lines/policy"
