"""What a config names: a row, or something outside the package."""

from collections import OrderedDict
from collections.abc import Sized
from decimal import Decimal

import pytest

from vr1_ray.config.tables import find, find_function

ROWS = {"plain": OrderedDict, "text": "collections:OrderedDict"}


@pytest.mark.parametrize("name", ["plain", "text", "collections:OrderedDict"])
def test_a_row_is_found_as_a_class_as_text_and_by_its_path(name):
    assert find(ROWS, name, "some.name", kind=dict) is OrderedDict


@pytest.mark.parametrize("name", ["", "other", ":x", "collections:", "a.b.c"])
def test_an_unknown_name_is_refused_with_field_value_and_the_known_ones(name):
    with pytest.raises(ValueError, match=f"some.name='{name}' is unknown; known: plain, text"):
        find(ROWS, name, "some.name")


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("no.such:Name", "Install the module, or put it on PYTHONPATH or into the current folder"),
        ("collections.none:Name", "Install the module"),
        ("collections:NoSuchName", "Take a name of collections after the colon: "),
        ("none.py:Name", "Give the file's path from the current folder"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason_and_what_to_do(name, cure):
    with pytest.raises(ValueError, match=rf"some.name='{name}' can't be loaded \(.*{cure}"):
        find(ROWS, name, "some.name")


@pytest.mark.parametrize("kind", ["relative", "whole", "on the path"])
def test_a_file_is_named_by_its_path_and_executed_once(tmp_path, monkeypatch, kind):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "beside_7.py").write_text("VALUE = 7\n")
    (folder / "own.py").write_text("from beside_7 import VALUE\ndef double(x): return 2 * VALUE\n")
    if kind == "on the path":
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.chdir(tmp_path)
    name = str(folder / "own.py") if kind == "whole" else "mine/own.py"
    found = find_function(f"{name}:double", "some.name", 1)
    assert found(1) == 14
    assert find({}, f"{name}:double", "some.name") is found


def test_a_file_with_the_name_of_a_known_module_is_itself(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("OWN = 5\n")
    assert find({}, f"{tmp_path}/json.py:OWN", "some.name") == 5


@pytest.mark.parametrize("name", ["decimal:Decimal", "os.path:join"])
def test_what_is_of_another_kind_is_refused(name):
    with pytest.raises(ValueError, match=f"some.name='{name}' is no dict; derive it from dict"):
        find(ROWS, name, "some.name", kind=dict)
    assert find(ROWS, "decimal:Decimal", "some.name") is Decimal


@pytest.mark.parametrize("source", ["1 / 0", "def (", "raise OSError('no')"])
def test_a_module_that_breaks_is_refused_by_field_and_value(tmp_path, monkeypatch, source):
    (tmp_path / "breaks_9.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"some\.name='breaks_9:Name' can't be loaded"):
        find({}, "breaks_9:Name", "some.name")


def test_a_class_that_is_not_whole_is_refused_with_what_it_lacks():
    with pytest.raises(ValueError, match=r"some\.name='io:IOBase' is no Sized"):
        find({}, "io:IOBase", "some.name", kind=Sized)
    with pytest.raises(ValueError, match=r"'collections\.abc:Collection' lacks __contains__"):
        find({}, "collections.abc:Collection", "some.name", kind=Sized)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("string:digits", "is no function"),
        ("decimal:Decimal", "is no function"),
        ("operator:add", "can't be called as it will be"),
    ],
)
def test_what_is_no_function_of_one_argument_is_refused(name, words):
    with pytest.raises(ValueError, match=f"some.name='{name}' {words}"):
        find_function(name, "some.name", {})
    assert find_function("operator:neg", "some.name", 1)(2) == -2


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "only_here_7.py").write_text("class Mine(dict):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    assert find({}, "only_here_7:Mine", "some.name", kind=dict).__name__ == "Mine"


@pytest.mark.parametrize(
    ("name", "meant"), [("plane", "plain"), ("PLAIN", "plain"), ("txt", "text")]
)
def test_an_unknown_name_is_told_the_nearest(name, meant):
    with pytest.raises(ValueError, match=rf"known: plain, text\. Did you mean {meant}\?"):
        find(ROWS, name, "some.name")


def test_every_table_tells_the_nearest_name():
    from vr1_ray import algorithms, curriculum, evaluation, rewards, rollout
    from vr1_ray.bridging import readers
    from vr1_ray.config import AlgorithmConfig, CurriculumConfig, RewardSpec, StageConfig

    stages = [StageConfig(max_response_tokens=8, group_size=2, steps=1)]
    asked = [
        (algorithms.ALGORITHMS, lambda name: algorithms.make_algorithm(AlgorithmConfig(name=name), kind="rl")),
        (curriculum.CURRICULA, lambda name: curriculum.make_curriculum(CurriculumConfig(name=name, stages=stages))),
        (evaluation.BENCHMARKS, evaluation.make_benchmark),
        (rewards.REWARDS, lambda name: rewards.make_rewards([RewardSpec(name=name)])),
        (rollout.ROLLOUT_ENGINES, rollout.rollout_engine_class),
        (readers.READERS, readers.reader_named),
    ]  # fmt: skip
    for table, ask in asked:
        for name in table:
            with pytest.raises(ValueError, match=f"Did you mean {name}"):
                ask(name + name[-1])
