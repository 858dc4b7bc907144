"""Every shell block of every README is run by a test that it names, or says why not; what can be read of it is.

Before a fence stands `<!-- run by tests: tests/.../test_x.py::test_y -->` or `<!-- not run by tests: WHY -->`; a
single line may carry `# not run by tests: WHY` instead.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from vr1_ray.commands.arguments import COMMANDS, make_parser
from vr1_ray.config import load_config

ROOT = Path(__file__).parents[3]
SHELL = ("bash", "sh", "shell", "console")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (run|not run) by tests: (\S.*?) -->\n\Z", re.DOTALL)
LINE_MARK = re.compile(r"# not run by tests: \S")


def readmes() -> list[str]:
    """Pages of the repository, by path, so far as git does not ignore them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted(set(listed.stdout.split()))
    return [name for name in names if (ROOT / name).is_file() and Path(name).stem != "CHANGELOG"]


def shell_blocks(text: str) -> list[tuple[str, str]]:
    """(what stands before the fence, its lines) of each shell block."""
    return [
        (text[: found.start()], found.group(2))
        for found in FENCE.finditer(text)
        if found.group(1) in SHELL
    ]


def commands_of(block: str) -> list[str]:
    """The block's commands, continued lines joined, comments and empty lines left out."""
    lines = block.replace("\\\n", " ").split("\n")
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def problems(text: str) -> list[str]:
    """The commands that neither name a test nor say why they have none."""
    found = []
    for before, block in shell_blocks(text):
        mark = MARK.search(before)
        if mark is None:
            found += [line for line in commands_of(block) if not LINE_MARK.search(line)]
        elif mark.group(1) == "run":
            path, _, test = mark.group(2).partition("::")
            source = ROOT / path
            if not (source.is_file() and f"def {test}(" in source.read_text()):
                found.append(f"names a test that is not there: {mark.group(2)}")
    return found


@pytest.mark.parametrize("name", readmes())
def test_each_shell_line_is_run_by_a_test_or_says_why_not(name):
    assert problems((ROOT / name).read_text()) == []


@pytest.mark.parametrize("name", readmes())
def test_each_vr1_line_names_a_command_and_a_config_that_loads(name):
    for _, block in shell_blocks((ROOT / name).read_text()):
        written = set()  # by `vr1 init`, in the block itself
        for line in commands_of(block):
            words = shlex.split(line, comments=True)
            place = next((i for i, word in enumerate(words) if Path(word).name == "vr1"), None)
            if place is None or words[place + 2 : place + 3] in ([], ["CONFIG"]):
                continue
            if words[place + 1] in ("generate", "init", "scale"):
                parsed = make_parser().parse_args(words[place + 1 :])
                written |= {f"{parsed.name}.yaml"} if parsed.command == "init" else set()
                continue
            if words[place + 2] in written:
                continue
            command, config, *overrides = words[place + 1 :]
            assert command in COMMANDS, line
            loaded = load_config(ROOT / config, overrides)
            assert command in ("run", "check", "filter", loaded.kind), line


def test_an_unmarked_line_is_found():
    text = "Do this:\n\n```bash\n# why\nmake it \\\n    so\nls  # not run by tests: lists\n```\n"
    assert problems(text) == ["make it      so"]


def test_a_mark_without_a_reason_or_with_a_wrong_test_does_not_count():
    block = "```bash\nmake it\n```\n"
    assert problems(f"<!-- not run by tests: needs a GPU -->\n{block}") == []
    assert problems(f"<!-- not run by tests: -->\n{block}") == ["make it"]
    assert problems(f"<!-- not run by tests: needs a GPU -->\n\nText.\n{block}") == ["make it"]
    assert len(problems(f"<!-- run by tests: tests/none.py::test_x -->\n{block}")) == 1
    here = "tests/unit/deployment/test_readme_lines.py::test_an_unmarked_line_is_found"
    assert problems(f"<!-- run by tests: {here} -->\n{block}") == []


def test_only_shell_blocks_count():
    assert shell_blocks("```yaml\na: 1\n```\n") == []
