"""Every number of the schema has a range beside its field, and a value just outside is refused by field, value and range."""

import importlib
import math
import pkgutil
from dataclasses import is_dataclass
from typing import get_args, get_type_hints

import pytest

import vr1_ray.config
from vr1_ray.config import ConfigError, RewardSpec, RunConfig, StageConfig, check_config
from vr1_ray.config.fields import by_key, container_of, hints_of, numbers_out_of_range, range_of
from vr1_ray.config.generate import GenerateConfig
from vr1_ray.config.machines import MachinesConfig
from vr1_ray.config.ranges import Range
from vr1_ray.config.schema import ModelConfig

NOT_OF_A_CONFIG = {"Range", "Setting", "Override", "Source", "KeyValue"}


def config_classes():
    modules = [
        importlib.import_module(f"vr1_ray.config.{found.name}")
        for found in pkgutil.iter_modules(vr1_ray.config.__path__)
    ]
    return {
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and is_dataclass(one) and one.__name__ not in NOT_OF_A_CONFIG
    }


def holds_a_number(hint):
    return hint in (int, float) or any(map(holds_a_number, get_args(hint)))


def test_every_number_of_every_config_class_has_a_range():
    classes = config_classes()
    assert {RunConfig, GenerateConfig, MachinesConfig} < classes
    without = [
        f"{owner.__name__}.{name}"
        for owner in classes
        for name, hint in get_type_hints(owner).items()
        if holds_a_number(hint) and range_of(hints_of(owner)[name]) is None
    ]
    assert not without


def test_every_class_of_the_schema_is_held_to_its_ranges():
    owners = {setting.owner for setting in by_key(RunConfig).values()} | {RunConfig}
    sections = {GenerateConfig}  # of a command of its own, which holds the model's and the engine's
    assert config_classes() == owners | sections


def whole():
    """A sound RL run with everything in it that a key can be below."""
    config = RunConfig(kind="rl", name="demo", model=ModelConfig(path="m"))
    config.data.train = "d"
    config.curriculum.stages = [StageConfig(max_response_tokens=96, group_size=4, steps=2)]
    config.rewards = [RewardSpec(name="hard_format")]
    config.cluster.assume = MachinesConfig()
    return config


def put(config, key, value):
    """Set the number, or the one in a list or mapping, that the schema calls `key`; returns the key it has there."""
    path = key.replace("[]", "[0]").replace(".NAME.", ".default.")
    *way, last = path.split(".")
    here = config
    for part in way:
        name, bracket, _ = part.partition("[")
        here = here[name] if isinstance(here, dict) else getattr(here, name)
        here = here[0] if bracket else here
    container = container_of(hints_of(type(here))[last])
    setattr(here, last, {list: [value], dict: {"x": value}}.get(container, value))
    return path + {list: "[0]", dict: ".x"}.get(container, "")


NUMBERS = {key: one for key, one in by_key(RunConfig).items() if one.range is not None}


def just_outside(setting):
    limits, is_int = setting.range, "int" in setting.type_text
    step = 1 if is_int else 1e-9
    if limits.least is not None:
        yield limits.least - step
    if limits.most is not None:
        yield limits.most + step * max(1, abs(limits.most))
    for bound in (limits.above, limits.below):
        if bound is not None:
            yield bound
    if not is_int:
        yield from (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("key", NUMBERS)
def test_a_value_just_outside_is_refused_by_field_value_and_range(key):
    setting = NUMBERS[key]
    for value in just_outside(setting):
        config = whole()
        name = put(config, key, value)
        with pytest.raises(ConfigError) as raised:
            check_config(config)
        assert f"{name}: {value:.10g} must be {setting.range.text}" in str(raised.value)


def test_the_defaults_and_the_ends_of_each_range_are_in_it():
    assert not list(numbers_out_of_range(whole()))
    for key, setting in NUMBERS.items():
        for value in (setting.range.least, setting.range.most):
            if value is not None:
                config = whole()
                put(config, key, type(value)(value))
                assert not list(numbers_out_of_range(config)), (key, value)


def test_null_where_it_means_a_default_is_in_range():
    config = whole()
    config.trainer.alarm_logprob_mean = None
    check_config(config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model.min_pixels": 9, "model.max_pixels": 8},
            "model.min_pixels: 9 is above model.max_pixels 8",
        ),
        ({"rollout.min_engines": 3, "rollout.max_engines": 2}, "rollout.min_engines: 3 is above"),
        ({"bridge.candidates_at_once": 2}, "bridge.candidates_at_once: 2 is above"),
        ({"data.max_prompt_tokens": 1024}, "data.max_prompt_tokens: 1024 leaves no room"),
        ({"trainer.optimizer.betas": 0.9}, "trainer.optimizer.betas: [0.9]; AdamW has two"),
    ],
)
def test_a_least_above_its_most_is_refused(changes, words):
    config = whole()
    for key, value in changes.items():
        put(config, key, value)
    with pytest.raises(ConfigError) as raised:
        check_config(config)
    assert words in str(raised.value)


def test_a_range_says_itself_in_words():
    assert Range(least=0, most=3).text == "0 to 3"
    assert Range(above=0.0, most=1.0).text == "above 0 and at most 1"
    assert Range().text == "any finite number"


def test_each_meaning_is_a_comment_of_the_schema():
    assert not [key for key, setting in by_key(RunConfig).items() if not setting.meaning]


def test_the_numbers_of_generate_are_held_to_theirs_with_those_of_its_engine():
    asked = GenerateConfig(policy="p", temperature=math.nan)
    asked.rollout.num_threads = 0
    told = list(numbers_out_of_range(asked))
    assert told[0].startswith("temperature: nan must be at least 0")
    assert told[1].startswith("rollout.num_threads: 0 must be at least 1")
