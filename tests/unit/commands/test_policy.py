"""Asking a policy from Python: a picture in any form, what is refused, time limits, closing."""

from dataclasses import replace

import pytest

import vr1_ray
from tests.builders import picture, save_random_tiny_model
from vr1_ray.config import ConfigError
from vr1_ray.data import DataError


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    with vr1_ray.Policy(
        save_random_tiny_model(tmp_path_factory.mktemp("policy")), max_tokens=8
    ) as policy:
        yield policy


def test_a_policy_is_asked_about_a_picture_in_any_form(policy, tmp_path):
    image = picture(0)
    (tmp_path / "a.png").write_bytes(image.data)
    forms = [tmp_path / "a.png", str(tmp_path / "a.png"), image.decode(), image.data]
    forms += [[{"bytes": image.data, "path": None}]]
    answers = [policy.ask("How many?", form)["response"] for form in forms]
    assert len(set(answers)) == 1
    assert policy.ask("How many?", image.data, seed=5)["response"] != answers[0]
    row = policy.ask("<image><image>Same?", [image.data, image.data], answer=3)
    assert (row["question"], row["correct"], row["reference"]) == (
        "<image><image>Same?",
        False,
        "3",
    )
    assert 1 <= row["response_tokens"] <= 8


def test_what_cannot_be_asked_is_refused_and_the_policy_goes_on(policy):
    with pytest.raises(DataError, match=r"images: nowhere.png is no file"):
        policy.ask("How many?", "nowhere.png")
    with pytest.raises(DataError, match="question: "):
        policy.ask("<image>How many?")
    with pytest.raises(ConfigError, match="question: empty"):
        policy.ask("")
    assert policy.ask("How many?")["response_tokens"] >= 1


def test_a_closed_policy_says_so(tmp_path):
    policy = vr1_ray.Policy(save_random_tiny_model(tmp_path), max_tokens=2)
    policy.close()
    policy.close()
    with pytest.raises(ValueError, match="this policy is closed"):
        policy.ask("How many?")


def test_a_response_that_takes_too_long_ends_the_wait(tmp_path):
    with vr1_ray.Policy(save_random_tiny_model(tmp_path), max_tokens=1500) as policy:
        policy._config = replace(policy._config, timeout_seconds=0.5)
        with pytest.raises(RuntimeError, match=r"waiting for a response took over 0.5 s"):
            policy.ask("How many?")
        policy._config = replace(policy._config, timeout_seconds=60.0)


def test_settings_of_a_policy_are_checked():
    with pytest.raises(ValueError, match="temperature"):
        vr1_ray.Policy("examples/vr1_tiny/model", temperature=-1)
    with pytest.raises(ValueError, match=r"model.path='nowhere/at/all'"):
        vr1_ray.Policy("nowhere/at/all")
    with pytest.raises(ConfigError, match="not a setting here"):
        vr1_ray.Policy("examples/vr1_tiny/model", settings=["seed=1"])
