"""Asking servers: what is tried again, what ends a row, what ends the run."""

import asyncio

import pytest

from tests.unit.endpoints.scripted_server import Reply as Sent
from tests.unit.endpoints.scripted_server import dead_address, serve
from vr1_ray.bridging.client import EndpointClient, EndpointError, NoReplyError, check_endpoint
from vr1_ray.config import ConfigError, EndpointConfig

MESSAGES = [{"role": "user", "content": "How many?"}]


def completion(text="Final Answer:3", **message):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }


def settings(*urls, **fields):
    values = {"model": "m", "timeout_seconds": 20.0, "backoff_seconds": 0.01, "max_attempts": 3}
    return EndpointConfig(base_urls=[f"{url}/v1" for url in urls], **{**values, **fields})


def ask(config, seed=7):
    async def once():
        async with EndpointClient(config, name="mllm") as client:
            return await client.ask(MESSAGES, seed=seed)

    return asyncio.run(asyncio.wait_for(once(), 60))


def test_a_reply_comes_with_its_tokens_and_its_thought():
    with serve(Sent(completion(reasoning_content="One, two, three."))) as (server, url):
        reply = ask(settings(url, request={"temperature": 0.6}))
    assert (reply.text, reply.thought) == ("Final Answer:3", "One, two, three.")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.reply_id) == (5, 7, "chatcmpl-1")
    assert server.requests[0] == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.6,
        "seed": 7,
    }


@pytest.mark.parametrize(
    "fault",
    [
        Sent({"error": {"message": "busy"}}, 500),
        Sent({"error": {"message": "busy"}}, 429, headers={"Retry-After": "0.05"}),
        Sent(b'{"id": "x", "choi'),
        Sent({"id": "x", "choices": []}),
        Sent(completion(text="")),
        Sent(completion(), after_seconds=6.0),
    ],
)
def test_what_may_pass_is_tried_again(fault):
    with serve(fault, Sent(completion())) as (server, url):
        assert ask(settings(url, timeout_seconds=3.0)).text == "Final Answer:3"
        assert len(server.requests) == 2


def test_a_row_without_a_reply_says_why():
    with (
        serve(Sent({"error": {"message": "down"}}, 503)) as (server, url),
        pytest.raises(NoReplyError, match=r"mllm: gave up after 3 attempts: status 503: .*down"),
    ):
        ask(settings(url))
    assert len(server.requests) == 3


def test_a_refused_request_ends_its_row_at_once():
    with (
        serve(Sent({"error": {"message": "too many tokens"}}, 400)) as (server, url),
        pytest.raises(NoReplyError, match="refused: status 400"),
    ):
        ask(settings(url))
    assert len(server.requests) == 1


def test_a_wrong_setting_ends_the_run_and_hides_the_key(monkeypatch):
    monkeypatch.setenv("BRIDGE_TEST_KEY", "sk-secret-1234")
    with (
        serve(Sent({"error": {"message": "no such key sk-secret-1234"}}, 401)) as (server, url),
        pytest.raises(EndpointError, match=r"bridge\.mllm: .* answers 401") as caught,
    ):
        ask(settings(url, api_key_env="BRIDGE_TEST_KEY"))
    assert "sk-secret" not in str(caught.value)
    assert server.headers[0]["Authorization"] == "Bearer sk-secret-1234"


def test_a_dead_server_is_passed_over_for_the_next():
    with serve(Sent(completion())) as (_, url):
        for _ in range(4):  # whichever server comes first
            assert ask(settings(dead_address(), url)).text == "Final Answer:3"


def test_a_closed_client_leaves_no_connection_and_asks_nothing():
    async def twice(config):
        async with EndpointClient(config, name="mllm") as client:
            await client.ask(MESSAGES, seed=None)
        assert all(server.is_closed() for server in client.servers)
        with pytest.raises(RuntimeError, match="client has been closed"):
            await client.ask(MESSAGES, seed=None)

    with serve(Sent(completion())) as (server, url):
        asyncio.run(asyncio.wait_for(twice(settings(url)), 60))
    assert len(server.requests) == 1


def test_no_more_requests_are_open_than_allowed():
    async def many(config):
        async with EndpointClient(config, name="mllm") as client:
            await asyncio.gather(*(client.ask(MESSAGES, seed=None) for _ in range(8)))

    with serve(Sent(completion(), after_seconds=0.05)) as (server, url):
        asyncio.run(asyncio.wait_for(many(settings(url, max_concurrent=3)), 60))
    assert server.most_at_once <= 3
    assert len(server.requests) == 8
    assert "seed" not in server.requests[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, r"bridge\.mllm\.model: empty"),
        ({"base_urls": []}, r"bridge\.mllm\.base_urls: empty"),
        ({"base_urls": ["mllm:8000"]}, "starts with http"),
        ({"request": {"n": 4}}, "n can't be set there"),
        ({"request": {"top_k": 4}}, "top_k.*extra_body"),
        ({"max_concurrent": 0}, "max_concurrent: 0 must be at least 1"),
        ({"api_key_env": "sk-abc"}, "not the name of an environment variable"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(fields, message):
    values = {"model": "m", "base_urls": ["http://mllm:8000/v1"], **fields}
    with pytest.raises((ConfigError, ValueError), match=message):
        check_endpoint(EndpointConfig(**values), name="mllm")
