"""What `make setup GPU=1` asks for is on the package index: each requirement of setup.py has a release there that satisfies it.

`pip install --dry-run` would tell more, that all of them fit together, but pip fetches whole wheels for it where an index
serves no metadata of its own, and those of the CUDA builds are several GB. On a machine that has them in its cache:

    pip install --dry-run --ignore-installed torch==2.13.0 && pip install --dry-run --ignore-installed ".[gpu,dev]"
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SETUP = Path(__file__).parents[2] / "setup.py"


def declared() -> list[Requirement]:
    """CORE and the extras that a GPU machine takes, read from setup.py without running it."""
    values = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(SETUP.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("CORE", "EXTRAS")
    }
    extras = values["EXTRAS"]
    return [Requirement(text) for text in values["CORE"] + extras["gpu"] + extras["flash"]]


@pytest.mark.slow
@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_the_index_has_a_release_that_satisfies_it(requirement):
    command = [sys.executable, "-m", "pip", "index", "versions", requirement.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and "No matching distribution" not in done.stderr:
        pytest.skip(f"no index answers here: {done.stderr.strip()[-200:]}")
    found = re.search(r"Available versions: (.*)", done.stdout)
    versions = found.group(1).split(", ") if found else []
    assert list(requirement.specifier.filter(versions)), f"{requirement}: {versions[:20]}"


def test_torch_is_pinned_to_the_release_that_setup_installs_first():
    script = (SETUP.parent / "docker/setup_env.sh").read_text()
    [torch] = [requirement for requirement in declared() if requirement.name == "torch"]
    assert f"install torch{torch.specifier}\n" in script
