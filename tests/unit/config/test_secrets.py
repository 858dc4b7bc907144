"""What is secret never gets into a config, because the config is written into the run folder."""

import pytest

from vr1_ray.config import ConfigError, RewardSpec, RunConfig, check_config
from vr1_ray.config.secrets import secrets_in


def config(**options):
    return RunConfig(kind="rl", name="demo", rewards=[RewardSpec(name="remote", options=options)])


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "sk-1234"},
        {"request": {"extra_headers": {"Authorization": "Bearer abc"}}},
        {"hf_token": "hf_abc"},
        {"judge_password": "x"},
        {"url": "https://me:hunter2@judge/v1"},
    ],
)
def test_a_secret_by_its_name_or_place_is_refused_and_not_shown(options):
    [line] = secrets_in(config(**options))
    assert line.startswith("rewards[0].options.")
    for secret in ("sk-1234", "Bearer abc", "hf_abc", "hunter2"):
        assert secret not in line
    with pytest.raises(ConfigError, match="isn't shown"):
        check_config(config(**options))


def test_the_value_of_a_secret_variable_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    [line] = secrets_in(config(note="use 0123456789abcdef"))
    assert (
        "rewards[0].options.note: holds the value of the environment variable WANDB_API_KEY" in line
    )
    assert "0123456789abcdef" not in line


def test_names_of_variables_and_words_about_tokens_are_fine(monkeypatch):
    monkeypatch.setenv("SHORT_KEY", "remote")
    found = secrets_in(config(api_key_env="JUDGE_KEY", max_tokens="9", url="https://judge:80/v1"))
    assert list(found) == []
