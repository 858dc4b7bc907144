"""Reading configs: what is refused, by which name, and with which cure."""

from pathlib import Path

import pytest

from vr1_ray.config import (
    ConfigError,
    RunConfig,
    check_config,
    load_config,
    recipe_runs,
    save_config,
)
from vr1_ray.curriculum import make_curriculum

RL = """
kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data, max_prompt_tokens: 96}
curriculum: {stages: [{max_response_tokens: 96, group_size: 4, steps: 2}]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def rl_config(tmp_path: Path, *overrides: str) -> RunConfig:
    return load_config(write(tmp_path, RL), list(overrides))


def test_overrides_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    config = rl_config(tmp_path, "data.max_prompt_tokens=64", "rollout.num_engines=3")
    assert config.data.max_prompt_tokens == 64
    assert config.rollout.num_engines == 3
    assert config.trainer.num_workers == 1  # schema default


def test_a_sound_config_passes_every_rule(tmp_path):
    check_config(rl_config(tmp_path))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rollout.num_engine=2", ["rollout.num_engine", "num_engines"]),
        ("bogus=1", ["bogus"]),
        ("seed=abc", ["seed", "abc"]),
        ("kind=ppo", ["kind", "ppo", "recipe"]),
        ("trainer", ["trainer", "key=value"]),
    ],
)
def test_a_mistake_on_load_names_field_and_value(tmp_path, override, words):
    with pytest.raises(ConfigError) as raised:
        rl_config(tmp_path, override)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["model.max_model_len=128"],
            ["max_response_tokens", "96", "raise model.max_model_len to 192"],
        ),
        (["trainer.mini_batches_per_step=3"], ["prompts_per_step", "16", "multiple of 3"]),
        (["trainer.zero_stage=5"], ["trainer.zero_stage", "5"]),
        (["rollout.top_p=0.9"], ["rollout.top_p", "0.9", "1.0"]),
        (["rollout.num_engines=0"], ["rollout.num_engines", "0"]),
        (["model.path="], ["model.path"]),
        (["name=../x"], ["name", "../x"]),
        (["eval.at_end=true"], ["eval.data"]),
        (["eval.every_steps=-5"], ["eval.every_steps", "-5", "at least 0", "never"]),
        (
            ["benchmarks=[mathvista]", "eval.max_questions=-1"],
            ["eval.max_questions", "-1", "0: all"],
        ),
        (["benchmarks=[mathvista]", "eval.protocol=paper"], ["eval.temperature", "greedy", "0.6"]),
        (["algorithm.kl_coef=-1"], ["algorithm.kl_coef", "-1"]),
        (["algorithm.entropy_coef=-1"], ["algorithm.entropy_coef", "-1", "at least 0"]),
        (["algorithm.loss_aggregation=constant_length"], ["algorithm.loss_length", "0", "budget"]),
        (["algorithm.dual_clip=1.2"], ["algorithm.dual_clip: 1.2", "1 + clip_high 0.2", "use 3"]),
        (["algorithm.dual_clip=-1"], ["algorithm.dual_clip", "at least 0"]),
        (["algorithm.importance_cap=0.9"], ["algorithm.importance_cap: 0.9", "use 2"]),
        (
            ["algorithm.importance_cap=2", "algorithm.old_logprobs=rollout"],
            ["algorithm.importance_cap: 2", "set algorithm.old_logprobs=trainer"],
        ),
        (["trainer.alarm_logprob_p99=0"], ["trainer.alarm_logprob_p99: 0", "above 0"]),
        (["trainer.alarm_logprob_p99=.nan"], ["trainer.alarm_logprob_p99", "nan"]),
        (["trainer.zero_stage=4"], ["trainer.zero_stage: 4", "0 to 3"]),
        (["algorithm.name=sft"], ["algorithm.name", "kind: sft"]),
        (["trainer.offload_optimizer=true"], ["trainer.offload_optimizer", "zero_stage 0"]),
        (["model.attention=flash_attention_2"], ["model.attention", "model.dtype=bfloat16"]),
        (["algorithm.loss_length=96"], ["algorithm.loss_length", "96", "token_mean"]),
        (
            ["curriculum.stages=[{max_response_tokens: 9, group_size: 1, steps: 1}]"],
            ["curriculum.stages[0].group_size: 1", "at least 2"],
        ),
        (
            [
                "curriculum.stages=[{max_response_tokens: 9, group_size: 2, steps: 1, enabled: false}]"
            ],
            ["curriculum.stages"],
        ),
    ],
)
def test_each_rule_names_field_value_and_cure(tmp_path, overrides, words):
    with pytest.raises(ConfigError) as raised:
        check_config(rl_config(tmp_path, *overrides))
    for word in words:
        assert word in str(raised.value)


def test_all_broken_rules_are_reported_at_once(tmp_path):
    with pytest.raises(ConfigError) as raised:
        check_config(rl_config(tmp_path, "rollout.top_p=0.9", "trainer.zero_stage=9"))
    assert str(raised.value).count("\n") == 1


def test_a_missing_file_is_said_plainly(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "nowhere.yaml")


def test_broken_yaml_is_said_plainly(tmp_path):
    with pytest.raises(ConfigError, match="line 1: a bracket is opened here"):
        load_config(write(tmp_path, "kind: [rl"))


def test_recipe_steps_inherit_and_override_the_recipes_keys(tmp_path):
    text = """
kind: recipe
name: demo
seed: 7
model: {path: base}
steps:
  cold: {kind: sft, seed: 8, data: {demonstrations: ["${runs_folder}/${name}/x.json"]}}
  rl: {kind: rl, model: {path: other}}
"""
    cold, rl = recipe_runs(load_config(write(tmp_path, text)))
    assert (cold.name, cold.seed, cold.model.path) == ("demo/cold", 8, "base")
    assert cold.data.demonstrations == ["runs/demo/x.json"]
    assert (rl.name, rl.seed, rl.model.path) == ("demo/rl", 7, "other")


def test_a_mistake_in_a_recipe_step_names_the_step(tmp_path):
    text = "kind: recipe\nname: demo\nsteps:\n  cold: {kind: sft, sed: 1}\n"
    with pytest.raises(ConfigError, match=r"steps\.cold.*sed"):
        load_config(write(tmp_path, text))


def test_a_recipe_without_steps_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one step"):
        load_config(write(tmp_path, "kind: recipe\nname: demo\n"))


def test_a_saved_config_loads_as_the_same_config(tmp_path):
    config = rl_config(tmp_path, "seed=5")
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


@pytest.mark.parametrize("path", sorted(Path("configs").rglob("*.yaml")), ids=str)
def test_every_shipped_config_loads_and_keeps_the_rules(path):
    config = load_config(path)
    for run in recipe_runs(config) if config.kind == "recipe" else [config]:
        check_config(run)


STAGES = """
    - {max_response_tokens: 96, group_size: 4, steps: 2, enabled: false}
    - {max_response_tokens: 9999, group_size: 4, steps: 2, num_engines: 9}
"""


def test_a_stage_is_named_by_the_key_that_sets_it_and_counted_from_the_first_enabled_one(tmp_path):
    text = RL.replace("[{max_response_tokens: 96, group_size: 4, steps: 2}]", STAGES)
    text = text.replace("curriculum: {stages: ", "curriculum:\n  stages: ").replace("\n}", "\n")
    limit = "rollout.max_engines=2"
    with pytest.raises(ConfigError) as raised:
        check_config(load_config(write(tmp_path, text), [limit]))
    told = str(raised.value)
    assert "curriculum.stages[1].max_response_tokens: 9999" in told
    assert "curriculum.stages[1].num_engines: 9" in told
    cured = ["curriculum.stages[1].max_response_tokens=96", "curriculum.stages[1].num_engines=2"]
    config = load_config(write(tmp_path, text), [limit, *cured])
    check_config(config)
    [stage] = make_curriculum(config.curriculum).stages
    assert (stage.number, stage.max_response_tokens) == (1, 96)
