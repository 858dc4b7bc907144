import base64
import time

import pytest

from tests.unit.endpoints.scripted_server import Reply, dead_address, serve
from tests.unit.rewards.samples import GOOD, png, reward_input
from vr1_ray.config import RewardSpec
from vr1_ray.rewards import RewardError, RewardUnavailableError, combine_batch, make_rewards

FINE = Reply({"outputs": [{"value": 0.5, "parts": {"style": 0.25}}]})


def outcomes_of(url, *inputs, **options):
    options = {"url": url, "timeout_seconds": 5, "backoff_seconds": 0, **options}
    rewards = make_rewards([RewardSpec(name="remote", options=options)])
    return combine_batch(rewards, inputs or [reward_input()])


def test_a_healthy_service_gives_value_and_parts():
    with serve(FINE) as (_, url):
        [output] = outcomes_of(url)
    assert output.value == 0.5
    assert output.parts == {"remote": 0.5, "remote/style": 0.25}


def test_a_group_is_one_request_with_all_that_is_known():
    picture = png()
    two = {"outputs": [{"value": 1}, {"value": 0}]}
    with serve(Reply(two)) as (server, url):
        first = reward_input(images=[picture], ids=(4, 5, 6))
        second = reward_input("nonsense", images=[picture], index=1, finished=False)
        outcomes = outcomes_of(url, first, second, send_images=True)
    assert [outcome.value for outcome in outcomes] == [1.0, 0.0]
    [request] = server.requests
    assert request["images"] == {picture.content_hash: base64.b64encode(picture.data).decode()}
    assert request["inputs"][0] == {
        "prompt_id": "9f0c", "index": 0, "question": "<image>How many?", "answer": "3",
        "metadata": {"family": "count"}, "response": GOOD, "num_tokens": 3,
        "finish_reason": "finished", "step": 12, "images": [picture.content_hash],
        "stage": {"number": 2, "max_response_tokens": 8, "group_size": 1, "steps": 1},
    }  # fmt: skip
    assert request["inputs"][1]["finish_reason"] == "truncated"


def test_images_stay_here_unless_asked_for():
    with serve(FINE) as (server, url):
        outcomes_of(url, reward_input(images=[png()]))
    assert server.requests[0]["images"] == {}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_failure_that_passes_is_tried_again(status):
    with serve(Reply({}, status), Reply({}, status), FINE) as (server, url):
        [output] = outcomes_of(url)
    assert output.value == 0.5
    assert len(server.requests) == 3


def test_a_wait_that_the_service_asks_for_is_kept():
    began = time.monotonic()
    with serve(Reply({}, 429, headers={"Retry-After": "0.4"}), FINE) as (_, url):
        outcomes_of(url)
    assert 0.4 <= time.monotonic() - began < 4


@pytest.mark.parametrize("late", [Reply({}, after_seconds=3), Reply(b" " * 99, drip_seconds=0.1)])
def test_a_slow_service_is_given_up_in_bounded_time(late):
    began = time.monotonic()
    with serve(late) as (server, url):
        [outcome] = outcomes_of(url, timeout_seconds=0.3, max_attempts=2)
        took = time.monotonic() - began
    assert isinstance(outcome, RewardUnavailableError)
    assert "gave up after 2 attempts: " in str(outcome)
    assert len(server.requests) == 2
    assert took < 2.5


def test_a_dead_service_makes_every_rollout_invalid_and_none_0():
    outcomes = outcomes_of(dead_address(), reward_input(), reward_input(index=1))
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert isinstance(outcome, RewardUnavailableError)
        assert "reward 'remote': gave up after 3 attempts: ClientConnectorError" in str(outcome)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>busy</html>", "no `outputs`"),
        (b"\xff\xfe", "no `outputs`"),
        ([1], "no `outputs`"),
        ({"outputs": 1}, "outputs: int, for 1 inputs"),
        ({"outputs": []}, "outputs: 0, for 1 inputs"),
        ({"outputs": [{"value": 1}, {"value": 1}]}, "outputs: 2, for 1 inputs"),
        ({"outputs": [1.0]}, "is no output"),
        ({"outputs": [{"parts": {}}]}, "is no output"),
        ({"outputs": [{"value": "1"}]}, "is no output"),
        ({"outputs": [{"value": True}]}, "is no output"),
        ({"outputs": [{"value": 10**400}]}, "is no output"),
        (b'{"outputs": [{"value": NaN}]}', "is no output"),
        ({"outputs": [{"value": 1, "parts": {"a": None}}]}, "is no output"),
        ({"outputs": [{"value": 1, "parts": [1]}]}, "is no output"),
        (b"[" * 200_000, "no `outputs`"),
        (b" " * (16 * 2**20 + 1), "longer than 16777216 bytes"),
    ],
)
def test_a_reply_of_another_form_is_tried_again_and_then_invalid(body, reason):
    with serve(Reply(body)) as (server, url):
        [outcome] = outcomes_of(url, max_attempts=2)
    assert isinstance(outcome, RewardUnavailableError)
    assert reason in str(outcome)
    assert len(server.requests) == 2


def test_a_null_makes_that_rollout_invalid_alone():
    with serve(Reply({"outputs": [{"value": 1}, None]})) as (_, url):
        good, bad = outcomes_of(url, reward_input(), reward_input(index=1))
    assert good.value == 1.0
    assert isinstance(bad, RewardUnavailableError)


def test_a_request_the_service_refuses_is_invalid_at_once():
    with serve(Reply({"error": "too long"}, 413)) as (server, url):
        [outcome] = outcomes_of(url)
    assert isinstance(outcome, RewardUnavailableError)
    assert "status 413: " in str(outcome)
    assert "too long" in str(outcome)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [302, 401, 404])
def test_a_wrong_setting_is_an_error_and_not_a_passing_failure(status):
    reply = Reply({}, status, headers={"Location": "http://127.0.0.1:9/"})
    message = rf"on prompt 9f0c .*status {status}.*check the address"
    with serve(reply) as (_, url), pytest.raises(RewardError, match=message):
        outcomes_of(url)


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("SCORER_KEY", "s3cret-key")
    refusal = Reply({"you sent": "s3cret-key"}, 403)
    with serve(refusal) as (server, url), pytest.raises(RewardError) as caught:
        outcomes_of(url, api_key_env="SCORER_KEY")
    assert server.headers[0]["Authorization"] == "Bearer s3cret-key"
    assert "you sent" in str(caught.value)
    assert "s3cret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "scorer:9000"}, r"rewards\[0\]\.options of 'remote': url='scorer:9000'"),
        ({"url": "http://x", "timeout_seconds": 0}, "timeout_seconds=0"),
        ({"url": "http://x", "timeout_seconds": float("inf")}, "timeout_seconds=inf"),
        ({"url": "http://x", "max_attempts": 0}, "max_attempts=0"),
        ({"url": "http://x", "backoff_seconds": -1}, "backoff_seconds=-1"),
        ({"url": "http://x", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE'?: not set"),
        ({}, "missing a required argument: 'url'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make_rewards([RewardSpec(name="remote", options=options)])


def test_a_key_written_in_the_config_by_mistake_is_refused_unseen():
    options = {"url": "http://x", "api_key_env": "sk-abc123"}
    with pytest.raises(ValueError, match="not the name of an environment variable") as caught:
        make_rewards([RewardSpec(name="remote", options=options)])
    assert "abc123" not in str(caught.value)
