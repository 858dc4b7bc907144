"""Overrides and YAMLs: every fault has one clear message that says whose it is, and near misses are named."""

import pytest

from vr1_ray.config import ConfigError, RunConfig, load_config
from vr1_ray.config.checks import check_config
from vr1_ray.config.effects import kinds_of
from vr1_ray.config.fields import REQUIRED, bare, by_key, container_of
from vr1_ray.config.generate import sections
from vr1_ray.config.loading import typed_overrides
from vr1_ray.config.overrides import read_overrides
from vr1_ray.config.shape import OTHER_NAMES, faults, near_miss

KEYS = by_key(RunConfig)
RL = """kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data}
curriculum:
  stages:
    - {max_response_tokens: 96, group_size: 4, steps: 2}
    - {max_response_tokens: 192, group_size: 2, steps: 3}
"""


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "config.yaml"

    def write_and_load(*overrides, text=RL):
        path.write_text(text)
        return load_config(path, list(overrides))

    return write_and_load


@pytest.fixture
def refusal(load):
    def message(*overrides, text=RL):
        with pytest.raises(ConfigError) as raised:
            load(*overrides, text=text)
        return str(raised.value)

    return message


@pytest.mark.parametrize("place", ["[0]", ".0"])
def test_a_place_of_a_list_is_set_and_the_others_stay(load, place):
    stages = load(f"curriculum.stages{place}.steps=7").curriculum.stages
    assert [(one.max_response_tokens, one.steps) for one in stages] == [(96, 7), (192, 3)]


def test_a_list_that_only_the_schema_has_is_set_by_place(load):
    [reward] = load("rewards[0].weight=0.5").rewards
    assert (reward.name, reward.weight) == ("hard_format", 0.5)
    assert load("trainer.optimizer.betas[1]=0.95").trainer.optimizer.betas == [0.9, 0.95]


def test_a_step_sets_a_place_of_the_list_that_its_recipe_hands_down(load):
    text = "kind: recipe\nname: r\nrewards: [repetition]\nsteps: {rl: {kind: rl}}\n"
    config = load("steps.rl.rewards[0].weight=0.5", text=text)
    assert config.steps["rl"]["rewards"] == [{"name": "repetition", "weight": 0.5}]


def test_names_alone_are_rewards(load):
    assert [one.name for one in load("rewards=[hard_format, repetition]").rewards] == [
        "hard_format",
        "repetition",
    ]
    assert load(text=RL + "rewards: [hard_format]\n").rewards == load().rewards


def test_a_mapping_is_merged_and_a_list_replaces(load):
    config = load("rollout={num_engines: 2}", "rollout.health={min_healthy: 2}")
    assert (config.rollout.num_engines, config.rollout.health.min_healthy) == (2, 2)
    assert config.rollout.health.probe_seconds == 10.0
    one = "curriculum.stages=[{max_response_tokens: 9, group_size: 2, steps: 1}]"
    assert len(load(one).curriculum.stages) == 1


def test_an_empty_value_is_an_empty_text(load):
    assert load("model.path=").model.path == ""


def test_a_place_that_only_the_steps_have_is_told_how_to_reach_them(refusal):
    text = "kind: recipe\nname: r\nsteps: {rl: {kind: rl, curriculum: {stages: []}}}\n"
    told = refusal("curriculum.stages[0].steps=1", text=text)
    assert "its places: none; of one step: steps.NAME.curriculum.stages[0].steps=..." in told


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("curriculum.stages[2].steps=1", ["no place [2]", "[0] to [1]"]),
        ("curriculum.stages[-1].steps=1", ["stages has no place [-1]", "its places: [0] to [1]"]),
        ("curriculum.stages.-1.steps=1", ["stages has no place [-1]", "its places: [0] to [1]"]),
        ("curriculum.stages[last].steps=1", ["stages has no place [last]"]),
        ("curriculum.stages[0:2].steps=1", ["stages has no place [0:2]"]),
        ("curriculum.stages[].steps=1", ["stages has no place []"]),
        ("curriculum.stages[*]={}", ["stages has no place [*]"]),
        ("rewards[1].weight=1", ["rewards has no place [1]", "its places: [0]"]),
        ("rewards[-1].weight=1", ["rewards has no place [-1]", "its places: [0]"]),
        ("model[path]=x", ["model is no list, so it has no place [path]"]),
        ("data.train=${name", ["'${name' has a '${' without", "${section.key}"]),
        ("data.train=${data.train}", ["data.train", "leads back to itself"]),
        ("curriculum.stages.first.steps=1", ["no place [first]"]),
        ("model[0]=x", ["model is no list"]),
        ("kind.x=1", ["kind is 'rl'", "no keys"]),
        ("curriculum.stages=2", ["2 is a number", "a list, such as [{max_response_tokens: ..."]),
        ("rewards=hard_format", ["a list, such as [{name: ..."]),
        ("rewards=[[a]]", ["rewards[0]", "settings, such as {name"]),
        ("rewards=[{nam: a}]", ["rewards[0].nam: no such setting", "rewards[0].name"]),
        ("curriculum.stages=[{steps: 1}]", ["stages[0].group_size: missing", "a whole number"]),
        ("reward_pools=2", ["names with settings"]),
        ("trainer=zero", ["settings, such as {num_workers"]),
        ("rollout.resources=3", ["a mapping, such as {key: value}"]),
        ("kind=ppo", ["one of recipe, figure_math, bridge, sft, rl, eval"]),
        ("seed=1.5", ["1.5", "a whole number"]),
        ("trainer.optimizer.lr=fast", ["'fast'", "a number"]),
        ("deterministic=maybe", ["true or false"]),
        ("model.path=yes", ["in quotes it is a text"]),
        ("model.path=null", ["null; give a text"]),
        ("data.train=[a", ["no YAML", "close its brackets"]),
        ("data.train=${nowhere}", ["data.train", "nowhere"]),
        ("a b=1", ["is no key"]),
        ("=1", ["is no key"]),
        ("a..b=1", ["is no key"]),
    ],
)
def test_a_fault_of_the_command_line_is_said_of_the_command_line(refusal, override, words):
    told = refusal(override)
    assert "config.yaml" not in told
    for line in told.splitlines():
        assert line.startswith("command line: ")
    for word in words:
        assert word in told


def test_a_fault_of_the_file_is_said_with_its_line_though_there_are_overrides(refusal):
    told = refusal("seed=3", text=RL + "rollout:\n  num_engine: 2\n  temperature: hot\n")
    first, second = told.splitlines()
    assert first.endswith(
        "config.yaml, line 10: rollout.num_engine: no such setting; did you mean rollout.num_engines?"
    )
    assert "config.yaml, line 11: rollout.temperature: 'hot' is a text; give a number" in second


def test_a_key_that_is_there_twice_is_refused_by_both_lines(refusal):
    told = refusal(text=RL + "seed: 1\nseed: 2\n")
    assert "line 10: seed: set in line 9 already" in told


def test_a_file_without_its_kind_says_which_there_are(refusal):
    assert "kind: missing; give one of recipe" in refusal(text="name: demo\n")


def test_a_step_that_the_recipe_does_not_have_is_the_command_lines_fault(refusal):
    text = "kind: recipe\nname: r\nsteps: {rl: {kind: rl}}\n"
    told = refusal("steps.r1.seed=3", text=text)
    assert told.startswith("command line: steps.r1.seed=3: steps.r1.kind: missing")
    assert "other steps: rl" in told


def test_set_of_generate_is_read_by_the_same_reader():
    with pytest.raises(ConfigError, match=r"command line: rollout\.num_engine=2: .*num_engines\?"):
        sections(["rollout.num_engine=2"])


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("lr", "trainer.optimizer.lr"),
        ("trainer.lr", "trainer.optimizer.lr"),
        ("learning_rate", "trainer.optimizer.lr"),
        ("rollout.num_engine", "rollout.num_engines"),
        ("rolout.num_engines", "rollout.num_engines"),
        ("trainer.num_worker", "trainer.num_workers"),
        ("group_size", "curriculum.stages[0].group_size"),
        ("num_generations", "curriculum.stages[0].group_size"),
        ("curriculum.stages[1].group_sise", "curriculum.stages[0].group_size"),
        ("kl_coeff", "algorithm.kl_coef"),
        ("max_grad_norm", "trainer.optimizer.max_grad_norm"),
        ("every_steps", "checkpoint.every_steps"),
        ("steps.rl.lr", "steps.rl.trainer.optimizer.lr"),
    ],
)
def test_a_near_miss_names_the_key_that_was_meant(wrong, meant):
    assert meant in near_miss(wrong, base="steps.rl." if wrong.startswith("steps.") else "")


BRIDGE, COLD, EVAL = (frozenset([kind]) for kind in ("bridge", "sft", "eval"))


@pytest.mark.parametrize(
    ("wrong", "kinds", "said"),
    [
        ("num_workers", BRIDGE, "trainer.num_workers is for kind sft, rl only"),
        ("max_row", BRIDGE, "did you mean bridge.max_rows?"),
        ("max_row", COLD, "did you mean data.max_rows?"),
        ("max_tokens", COLD, "curriculum.stages[0].max_response_tokens is for kind rl, filter only; a cold start"),
        ("epochs", frozenset(["rl"]), "num_epochs is for kind sft only; an RL run is as long as its curriculum"),
        ("temperature", EVAL, "did you mean eval.temperature?"),
        ("learning_rates", COLD, "did you mean trainer.optimizer.lr?"),
    ],
)  # fmt: skip
def test_a_near_miss_is_a_key_that_does_something_in_the_kind_of_run(wrong, kinds, said):
    assert near_miss(wrong, kinds=kinds).startswith(said)


@pytest.mark.parametrize("kind", ["bridge", "sft", "eval"])
def test_a_key_without_its_section_is_led_to_one_with_an_effect(kind):
    names = sorted({key.rpartition(".")[2] for key in KEYS if kind not in kinds_of(key)})
    for name in names[::8]:
        told = near_miss(name, kinds=frozenset([kind]))
        if told.startswith("did you mean "):
            for meant in told.removeprefix("did you mean ").rstrip("?").split(" or "):
                assert kind in kinds_of(meant.replace("[0]", "[]")), (name, told)


def test_a_near_miss_in_a_recipe_is_a_key_of_one_of_its_steps(refusal):
    text = "kind: recipe\nname: r\nsteps: {cold: {kind: sft, num_epoch: 1}, b: {kind: bridge}}\n"
    assert "steps.cold.num_epoch: no such setting; did you mean steps.cold.num_epochs?" in refusal(text=text)  # fmt: skip
    text = "kind: recipe\nname: r\ncurriculum: {stage: []}\nsteps: {cold: {kind: sft}}\n"
    assert "curriculum.stages is for kind rl, filter only" in refusal(text=text)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rewards=[hard_format, repetition, hard_format]", "rewards[2].name: 'hard_format' stands in rewards[0]"),
        ("benchmarks=[mathvista, mathvista]", "benchmarks[1]: 'mathvista' stands in benchmarks[0] already"),
        ("bridge.sources=[{reader: jsonl, path: a}, {reader: jsonl, path: a}]", "bridge.sources[1].path: 'a' stands in"),
        ("bridge.mllm.base_urls=[u, u]", "bridge.mllm.base_urls[1]: 'u' stands in"),
        ("bridge.reasoner.base_urls=[u, u]", "bridge.reasoner.base_urls[1]: 'u' stands in"),
    ],
)  # fmt: skip
def test_what_is_named_twice_in_a_list_is_refused_by_both_places(override, said):
    config = typed_overrides([override])
    with pytest.raises(ConfigError) as raised:
        check_config(config)
    assert said in str(raised.value)


def test_a_key_like_no_other_is_sent_to_the_list_of_all():
    assert near_miss("xyzzy") == "`vr1 config` lists all"


def test_what_other_frameworks_say_stands_for_keys_that_exist():
    assert set(OTHER_NAMES.values()) <= set(KEYS)
    assert not set(OTHER_NAMES) & {key.rpartition(".")[2] for key in KEYS}


def wrong_values(setting):
    """Values of no type that the key may have."""
    kind = container_of(setting.hint)
    yield {list: {"a": 1}, dict: [1]}.get(kind, [1])
    if kind is None and bare(setting.hint) is not str:
        yield "neither"
    yield None


ANY = [key for key in KEYS if "[]" not in key and "NAME" not in key]


def test_every_key_refuses_a_value_of_another_type_by_its_name():
    for key in ANY:
        for value in wrong_values(KEYS[key]):
            tree = {"kind": "rl"}
            here = tree
            *way, last = key.split(".")
            for part in way:
                here = here.setdefault(part, {})
            here[last] = value
            found = dict(faults(tree))
            if value is not None:
                assert key in found, (key, value)
                assert "give " in found[key]
            elif "null" not in KEYS[key].type_text:
                assert found[key].startswith("null; give ")
    assert all(KEYS[key].default != REQUIRED for key in ANY if key != "kind")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["seed=1", "name=x", "seed=2"], ["command line: seed=2 replaces seed=1 before it"]),
        (["seed=1", "seed=1"], []),
        (["trainer.zero_stage=1", "trainer={zero_stage: 2}"],
         ["command line: trainer={zero_stage: 2} replaces trainer.zero_stage=1 before it"]),
        (["trainer={zero_stage: 1}", "trainer.num_workers=2"], []),
        (["curriculum.stages.0.steps=2", "curriculum.stages[0].steps=3"],
         ["command line: curriculum.stages[0].steps=3 replaces curriculum.stages.0.steps=2 before it"]),
        (["curriculum.stages[0].steps=2", "curriculum.stages=[]"],
         ["command line: curriculum.stages=[] replaces curriculum.stages[0].steps=2 before it"]),
        (["curriculum.stages=[]", "curriculum.stages[0].steps=2"], []),
    ],
)  # fmt: skip
def test_what_is_set_twice_is_told(overrides, told, caplog):
    read_overrides(overrides)
    assert [record.getMessage() for record in caplog.records] == told
