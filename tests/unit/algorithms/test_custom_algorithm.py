"""`examples/custom_algorithm`: it runs, its page shows what it prints, and every line of the page is a config."""

from pathlib import Path

import pytest
import yaml

from tests.unit.algorithms.samples import advantages_of, group
from vr1_ray.algorithms import ALGORITHMS, make_algorithm
from vr1_ray.config import AlgorithmConfig, check_config, load_config

EXAMPLE = Path(__file__).parents[3] / "examples" / "custom_algorithm"
PAGE = (EXAMPLE / "README.md").read_text()
LINES = [line.strip() for line in PAGE.splitlines() if line.strip().startswith("algorithm: {")]


@pytest.fixture
def example(monkeypatch):
    """The example's file, importable as it is when it is run."""
    monkeypatch.syspath_prepend(str(EXAMPLE))


def test_the_page_shows_what_the_example_prints(example, capsys):
    import weighted

    weighted.main()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 9
    for line in printed:
        assert f"    {line.rstrip()}" in PAGE.splitlines()


def test_a_right_response_counts_as_little_as_its_option_says():
    name = f"{EXAMPLE / 'weighted.py'}:Weighted"
    algorithm = make_algorithm(AlgorithmConfig(name=name, options={"positive_weight": 0.25}))
    assert advantages_of(algorithm.assign_advantages([group(1, 0, 1)])) == [[0.25, -1.0, 0.25]]


@pytest.mark.parametrize("line", LINES, ids=lambda line: yaml.safe_load(line)["algorithm"]["name"])
def test_every_line_of_the_page_is_a_config(line, tmp_path, monkeypatch):
    monkeypatch.chdir(EXAMPLE.parents[1])
    stages = "[{max_response_tokens: 64, group_size: 4, steps: 1}]"
    path = tmp_path / "run.yaml"
    path.write_text(
        f"kind: rl\nname: demo\nmodel: {{path: p}}\ndata: {{train: t}}\n{line}\n"
        f"curriculum: {{stages: {stages}}}\n"
    )
    config = load_config(path)
    check_config(config)
    make_algorithm(config.algorithm)


def test_the_page_has_a_line_for_every_algorithm():
    named = {yaml.safe_load(line)["algorithm"]["name"] for line in LINES}
    assert set(ALGORITHMS) - {"sft"} <= named
