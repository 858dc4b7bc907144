"""The container files keep the rules that a linter (hadolint) would hold them to, and what they copy is there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from pathspec import PathSpec

ROOT = Path(__file__).parents[3]
DOCKERFILES = [ROOT / "docker/Dockerfile", ROOT / "docker/Dockerfile.cpu"]


def instructions_of(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().split("\n") if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.split("\n") if line.strip()]


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def instructions(request):
    return instructions_of(request.param)


def arguments(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [text for instruction, text in instructions if instruction == name]


def test_the_base_is_pinned_to_a_version(instructions):
    [base] = arguments(instructions, "FROM")
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", base)


def test_package_lists_do_not_stay_in_a_layer(instructions):
    for command in arguments(instructions, "RUN"):
        if "apt-get install" in command:
            assert "apt-get update" in command
            assert "--no-install-recommends" in command
            assert "--yes" in command
            assert "rm -rf /var/lib/apt/lists/*" in command


def test_it_ends_as_a_user_that_is_not_root(instructions):
    users = arguments(instructions, "USER")
    assert users[-1] == "vr1"
    made = [run for run in arguments(instructions, "RUN") if "useradd" in run]
    assert "--uid 10001 vr1" in made[0]


def test_folders_are_absolute_and_nothing_is_added_from_elsewhere(instructions):
    assert all(folder.startswith("/") for folder in arguments(instructions, "WORKDIR"))
    assert not arguments(instructions, "ADD")
    assert not arguments(instructions, "MAINTAINER")
    names = [name for name, _ in instructions]
    assert names.index("WORKDIR") < names.index("COPY")


def test_commands_are_lists_and_the_shell_stops_at_a_broken_pipe(instructions):
    assert "pipefail" in arguments(instructions, "SHELL")[0]
    [command] = arguments(instructions, "CMD")
    assert command.startswith("[")
    [health] = arguments(instructions, "HEALTHCHECK")
    assert re.search(r'CMD \["vr1", "--version"\]$', health)


def test_no_run_changes_folder_or_rights_by_hand(instructions):
    for command in arguments(instructions, "RUN"):
        assert not re.search(r"\b(sudo|cd|ssh|top)\b", command)


def test_pip_keeps_no_cache_and_pins_what_it_is_asked_for(instructions):
    assert "PIP_NO_CACHE_DIR=1" in " ".join(arguments(instructions, "ENV"))
    for command in arguments(instructions, "RUN"):
        for part in command.split("&&"):
            if "pip install" in part and "--editable" not in part:
                packages = shlex.split(part.split("pip install")[1])
                assert all("==" in package for package in packages)


def test_what_is_copied_is_there_and_not_ignored(instructions):
    ignored = PathSpec.from_lines("gitignore", (ROOT / ".dockerignore").read_text().split("\n"))
    for copy in arguments(instructions, "COPY"):
        *sources, _ = [word for word in copy.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists()
            assert source == "." or not ignored.match_file(source)


def test_the_set_up_script_is_given_all_it_reads():
    # It runs before the whole tree is copied: setup.py reads these two.
    for path in DOCKERFILES:
        before = path.read_text().split("docker/setup_env.sh")[0]
        assert "setup.py LICENSE" in before
        assert "vr1_ray/__init__.py" in before


@pytest.mark.parametrize(
    ("path", "is_left_out"),
    [
        (".git/config", True),
        (".venv/bin/python", True),
        ("runs/x/checkpoints/step_1/policy/model.safetensors", True),
        ("data/rows.parquet", True),
        (".env", True),
        ("vr1_ray/data/prompts.py", False),
        ("examples/vr1_tiny/model/model.safetensors", False),
        ("tests/conftest.py", False),
    ],
)
def test_images_hold_the_source_and_no_data(path, is_left_out):
    patterns = (ROOT / ".dockerignore").read_text().split("\n")
    assert PathSpec.from_lines("gitignore", patterns).match_file(path) == is_left_out


def test_compose_has_a_head_and_two_rollout_nodes_that_wait_for_it():
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
    services = compose["services"]
    assert services.keys() == {"head", "rollout-1", "rollout-2"}
    for name, service in services.items():
        assert service["healthcheck"]["test"][1:3] == ["ray", "health-check"]
        assert "--block" in service["command"]
        assert "runs:/opt/vr1_ray/runs" in service["volumes"]
        assert set(service["networks"]) <= compose["networks"].keys()
        if name != "head":
            assert service["depends_on"] == {"head": {"condition": "service_healthy"}}
            assert "--address=head:6379" in service["command"]
    # Who reaches the dashboard can run what they like: it is for this machine alone.
    assert services["head"]["ports"] == ["127.0.0.1:8265:8265"]
    build = services["head"]["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).resolve().is_file()
