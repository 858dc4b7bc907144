"""A key that is set for this very run and does nothing in it is refused; what is handed down is not."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from vr1_ray.config import ConfigError, RunConfig, config_text, load_config, recipe_runs
from vr1_ray.config.counterparts import MEANT
from vr1_ray.config.effects import KINDS, NEEDS, kinds_of
from vr1_ray.config.fields import REQUIRED, by_key

KEYS = by_key(RunConfig)
ALL_KINDS = ("recipe", "figure_math", "bridge", "sft", "rl", "eval", "filter")
RL = """
kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data, max_prompt_tokens: 96}
curriculum: {stages: [{max_response_tokens: 96, group_size: 4, steps: 2}]}
"""
RECIPE = """
kind: recipe
name: demo
model: {path: base}
trainer: {optimizer: {lr: 0.001}}
steps:
  cold: {kind: sft, num_epochs: 2, data: {demonstrations: [x.json]}, trainer: {optimizer: {lr: 0.1}}}
  rl: {kind: rl, trainer: {optimizer: {lr: 0.2}}, data: {train: y.parquet}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_every_key_of_the_schema_is_in_the_table_and_the_table_has_no_other():
    for key in KEYS:
        assert set(kinds_of(key)) <= set(ALL_KINDS), key
    known = {part for key in KEYS for part in beginnings(key)}
    named = {*KINDS, *NEEDS, *(key for key, _ in MEANT)}
    assert named <= known
    assert all(kind not in kinds_of(key) for key, kind in MEANT)


def test_what_was_meant_is_a_key_that_does_something_in_that_kind():
    for (key, kind), cure in MEANT.items():
        named = [one for one in re.findall(r"[a-z_]+(?:\.[a-z_]+|\[0\])*", cure) if one in PLACES]
        assert named or " kind eval" in cure or "cross-entropy" in cure, cure
        for one in named:
            if "." in one or "_" in one:
                assert any(kind in kinds_of(below) for below in PLACES[one]), (key, kind, one)


PLACES = {}  # a key or section, written as in an override -> the keys in it
for _key in KEYS:
    for _part in [_key, *(_key[:at] for at, sign in enumerate(_key) if sign == ".")]:
        PLACES.setdefault(_part.replace("[]", "[0]"), []).append(_key)


def beginnings(key):
    parts = key.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


SCALARS = [
    key
    for key, one in KEYS.items()
    if "[]" not in key
    and "NAME" not in key
    and one.default != REQUIRED
    and one.default != {}
    and not isinstance(one.default, (dict, list))
    and not key.startswith("cluster.assume")
]


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind != "recipe"])
def test_every_key_is_refused_in_every_kind_in_which_it_does_nothing(tmp_path, kind):
    told = [key for key in SCALARS if kind not in kinds_of(key)]
    tree = {}
    for key in told:
        here = tree
        *way, last = key.split(".")
        for part in way:
            here = here.setdefault(part, {})
        here[last] = KEYS[key].default
    text = yaml.safe_dump({"kind": kind, "name": "demo", **tree})
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, text))
    for key in told:
        assert f": {key}: has no effect in a run of kind {kind}" in str(raised.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("max_steps=5", ["max_steps=5", "no effect", "curriculum.stages[0].steps"]),
        ("max_steps=0", ["max_steps=0", "no effect"]),
        ("num_epochs=2", ["num_epochs=2", "curriculum.stages[0].steps"]),
        ("data.demonstrations=[a.json]", ["data.demonstrations", "data.train"]),
        ("data={cutoff_len: 5}", ["data.cutoff_len", "data.max_prompt_tokens"]),
        ("eval.best_by=mathvista", ["eval.best_by", "eval.every_steps"]),
        ("eval.max_questions=5", ["eval.max_questions", "benchmarks=[...]"]),
        ("eval.judge.timeout_seconds=5", ["eval.judge.timeout_seconds", "benchmarks=[...]"]),
        ("data.max_bad_rows=0.5", ["data.max_bad_rows", "data.bad_rows=skip"]),
        ("algorithm={kl_coef: 0, kl_in: reward}", ["algorithm.kl_in", "algorithm.kl_coef"]),
        ("algorithm={kl_coef: 0, kl_estimator: k2}", ["algorithm.kl_estimator", "no KL term"]),
        ("algorithm.importance_level=sequence", ["set algorithm.importance_cap"]),
        (
            "algorithm={name: sapo, clip_low: 0.1}",
            ["algorithm.clip_low", "name=sapo", "no such bound"],
        ),
        ("algorithm={name: cispo, dual_clip: 3}", ["algorithm.dual_clip", "name=cispo"]),
        ("figure_math.num_train=5", ["figure_math.num_train", "only in figure_math"]),
        ("bridge.max_rows=5", ["bridge.max_rows", "only in bridge", "data.max_rows limits"]),
        ("data={train: a.jsonl, split: x}", ["data.split", "a.jsonl has no splits"]),
        (
            "data={train: a.parquet, streaming: true}",
            ["data.streaming", "a.parquet is no hub name"],
        ),
        ("data={train: a.parquet, revision: main}", ["data.revision", "a.parquet is no hub name"]),
        ("eval={data: a.json, at_end: true, split: x}", ["eval.split", "a.json has no splits"]),
        ("eval.split=x", ["eval.split", "no held-out prompts"]),
    ],
)
def test_an_override_without_effect_is_refused_with_what_was_meant(tmp_path, override, words):
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, RL), [override])
    assert str(raised.value).startswith(f"command line: {override}: ")
    for word in words:
        assert word in str(raised.value)


def test_a_split_of_files_does_nothing_and_of_a_folder_or_hub_name_chooses(tmp_path):
    cold = (
        "kind: sft\nname: demo\nmodel: {path: p}\ndata: {demonstrations: [a.json, %s], split: x}\n"
    )
    with pytest.raises(ConfigError, match=r"line 4: data\.split: has no effect here"):
        load_config(write(tmp_path, cold % "b.jsonl"))
    assert load_config(write(tmp_path, cold % "some/name")).data.split == "x"
    load_config(write(tmp_path, RL), ["data.split=x", "data.revision=main", "data.streaming=true"])
    with pytest.raises(ConfigError, match=r"command line: data\.revision=main: has no effect"):
        load_config(write(tmp_path, RL), ["data.revision=main", f"data.train={tmp_path}"])


def test_a_command_line_that_names_a_file_makes_no_fault_of_the_files_split(tmp_path):
    text = RL.replace("train: some/data", "train: some/data, split: x")
    assert load_config(write(tmp_path, text), ["data.train=a.parquet"]).data.split == "x"


def test_a_key_of_the_file_without_effect_is_refused_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.yaml, line 7: max_steps: has no effect"):
        load_config(write(tmp_path, RL + "max_steps: 9\n"))


def test_a_command_line_that_turns_evaluation_off_makes_no_fault_of_the_file(tmp_path):
    text = RL + "eval: {data: d, every_steps: 5, best_by: accuracy}\n"
    load_config(write(tmp_path, text), ["eval.every_steps=0"])


def test_a_command_line_that_turns_evaluation_on_gives_the_files_keys_their_effect(tmp_path):
    text = RL + "eval: {data: d, best_by: accuracy}\n"
    load_config(write(tmp_path, text), ["eval.every_steps=5"])
    with pytest.raises(ConfigError, match=r"eval\.best_by"):
        load_config(write(tmp_path, text))


def test_what_a_recipe_hands_down_is_not_refused(tmp_path):
    cold, rl = recipe_runs(
        load_config(
            write(
                tmp_path, RECIPE.replace("num_epochs: 2, ", "") + "eval: {label: x}\nmax_steps: 3\n"
            )
        )
    )
    assert (cold.max_steps, rl.max_steps) == (3, 3)


def test_what_a_step_sets_for_itself_is_refused_by_its_name(tmp_path):
    text = RECIPE.replace("kind: rl,", "kind: rl, max_steps: 3,")
    with pytest.raises(ConfigError, match=r"line 8: steps\.rl\.max_steps: has no effect"):
        load_config(write(tmp_path, text))
    with pytest.raises(ConfigError, match=r"command line: steps\.rl\.max_steps=3: has no effect"):
        load_config(write(tmp_path, RECIPE), ["steps.rl.max_steps=3"])


def test_an_override_for_all_steps_must_reach_one(tmp_path):
    load_config(write(tmp_path, RECIPE), ["max_steps=3", "prompts_per_step=2", "seed=1", "name=x"])
    with pytest.raises(ConfigError, match=r"bridge\.max_rows=1: has no effect in any step"):
        load_config(write(tmp_path, RECIPE), ["bridge.max_rows=1"])
    with pytest.raises(ConfigError, match=r"sets its own; write steps\.cold\.trainer\.optimizer"):
        load_config(write(tmp_path, RECIPE), ["trainer.optimizer.lr=0.5"])


@pytest.mark.parametrize("path", ["evaluate", "bridge_quickstart", "vision_r1/rl_7b"])
def test_the_resolved_config_of_every_shipped_run_loads_as_it_is(tmp_path, path):
    config = load_config(f"configs/{path}.yaml")
    for run in recipe_runs(config) if config.kind == "recipe" else [config]:
        assert load_config(write(tmp_path, config_text(run))) == run


def test_a_resolved_config_still_takes_no_override_without_effect(tmp_path):
    resolved = config_text(load_config(write(tmp_path, RL)))
    path = write(tmp_path, resolved)
    assert load_config(path, ["seed=5"]).seed == 5
    with pytest.raises(ConfigError, match=r"command line: max_steps=5"):
        load_config(path, ["max_steps=5"])


def test_the_resolved_config_of_an_earlier_version_lacks_what_came_since_and_loads(tmp_path):
    tree = yaml.safe_load(config_text(load_config(write(tmp_path, RL))))
    for section in ("filter", "blindness"):
        del tree[section]
    assert load_config(write(tmp_path, yaml.safe_dump(tree))).kind == "rl"


def test_sections_that_tell_a_resolved_config_are_those_of_the_schema():
    whole = RunConfig()
    sections = [one.name for one in fields(whole) if is_dataclass(getattr(whole, one.name))]
    assert set(sections) <= set(yaml.safe_load(config_text(RunConfig(kind="rl"))))
