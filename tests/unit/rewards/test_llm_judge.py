import threading
import time

import pytest

from tests.unit.endpoints.scripted_server import Reply, dead_address, serve
from tests.unit.rewards.samples import png, reward_input
from vr1_ray.config import RewardSpec
from vr1_ray.rewards import RewardError, RewardUnavailableError, combine_batch, make_rewards
from vr1_ray.rewards.llm_judge import LlmJudgeReward, read_score


def completion(text):
    """A chat completion as `vllm serve` and OpenAI send it, so far as it matters."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


GOOD_JUDGEMENT = Reply(completion("The sum is right.\nScore: 0.75"))


def judge(address, **options):
    defaults = {
        "model": "m", "base_url": f"{address}/v1", "api_key_env": "", "timeout_seconds": 5, "backoff_seconds": 0,
    }  # fmt: skip
    return make_rewards([RewardSpec(name="llm_judge", options=defaults | options)])


@pytest.mark.parametrize(
    ("judgement", "score"),
    [
        ("Score: 1", 1.0),
        ("Right.\nScore: 0.5\n", 0.5),
        ("Score: 0\n\nOn second thought:\n  Score:1.0", 1.0),
        ("Score: .25", 0.25),
        ("", None),
        ("1", None),
        ("Score: 7", None),
        ("Score: 1.5", None),
        ("Score: -1", None),
        ("Score: 1/2", None),
        ("Score: nan", None),
        ("Score: 1\nor so", None),
        ("The last line is Score: 1", None),
        ("Score: 1 Score: 0", None),
    ],
)
def test_only_a_last_line_of_the_asked_form_is_a_score(judgement, score):
    assert read_score(judgement) == score


def test_a_healthy_judge_gives_its_score():
    with serve(GOOD_JUDGEMENT) as (server, address):
        [output] = combine_batch(judge(address), [reward_input("I say three")])
    assert output.parts == {"llm_judge": 0.75}
    [request] = server.requests
    assert (request["model"], request["temperature"]) == ("m", 0.0)
    [message] = request["messages"]
    for shown in ("I say three", "How many?", "Reference answer: 3"):
        assert shown in message["content"]


def test_the_template_is_filled_in_one_pass():
    with serve(GOOD_JUDGEMENT) as (server, address):
        rewards = judge(address, template="{response} / {answer} / \\frac{1}{2}", request={})
        combine_batch(rewards, [reward_input("say {answer}")])
    assert server.requests[0]["messages"][0]["content"] == "say {answer} / 3 / \\frac{1}{2}"
    assert "temperature" not in server.requests[0]


def test_images_are_sent_when_asked_for():
    with serve(GOOD_JUDGEMENT) as (server, address):
        combine_batch(judge(address, send_images=True), [reward_input(images=[png(), png((3, 3))])])
    text, first, second = server.requests[0]["messages"][0]["content"]
    assert text["type"] == "text"
    for part in (first, second):
        assert part["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_the_same_question_is_asked_once():
    with serve(GOOD_JUDGEMENT) as (server, address):
        rewards = judge(address)
        twins = [reward_input("same"), reward_input("same", index=1), reward_input("other")]
        assert [o.value for o in combine_batch(rewards, twins)] == [0.75] * 3
        assert len(server.requests) == 2
        combine_batch(rewards, twins)
        assert len(server.requests) == 2


def test_another_image_is_another_question():
    with serve(GOOD_JUDGEMENT) as (server, address):
        rewards = judge(address, send_images=True)
        for size in ((1, 1), (2, 2), (1, 1)):
            combine_batch(rewards, [reward_input("same", images=[png(size)])])
    assert len(server.requests) == 2


def test_an_invalid_judgement_is_not_kept():
    with serve(Reply({}, 500), GOOD_JUDGEMENT) as (_, address):
        rewards = judge(address, max_attempts=1)
        assert isinstance(combine_batch(rewards, [reward_input()])[0], RewardUnavailableError)
        assert combine_batch(rewards, [reward_input()])[0].value == 0.75


def test_outcomes_come_in_order_and_never_more_are_asked_at_once_than_allowed():
    def slowly(request):
        text = request["messages"][0]["content"]
        return Reply(completion(f"Score: 0.{text}"), after_seconds=0.05 * int(text))

    with serve(slowly) as (server, address):
        rewards = judge(address, template="{response}", max_concurrent=3)
        outcomes = combine_batch(rewards, [reward_input(str(n)) for n in (4, 1, 3, 2, 5, 6, 1)])
    assert [outcome.value for outcome in outcomes] == [0.4, 0.1, 0.3, 0.2, 0.5, 0.6, 0.1]
    assert server.most_at_once == 3


def test_threads_of_one_actor_can_share_a_judge():
    with serve(GOOD_JUDGEMENT) as (server, address):
        rewards = judge(address)
        values = []

        def work(name):
            values.append(combine_batch(rewards, [reward_input(name)])[0].value)

        threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert values == [0.75] * 4
    assert len(server.requests) == 4


def test_overload_that_passes_and_a_babbling_judge_are_asked_again():
    babble = Reply(completion("I would say it is quite good."))
    with serve(Reply({}, 429), Reply({}, 500), babble, GOOD_JUDGEMENT) as (server, address):
        [output] = combine_batch(judge(address, max_attempts=4), [reward_input()])
    assert output.value == 0.75
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(completion("Score: 10")), "no last line `Score: S`: ...'Score: 10'"),
        (Reply(completion(None)), "no chat completion"),
        (Reply(b"<html>busy</html>"), "the reply"),
        (Reply(b"\xff\xfe{"), "the reply"),
        (Reply({}), "no chat completion"),
        (Reply({"choices": []}), "no chat completion"),
        (Reply({"choices": 5}), "no chat completion"),
        (Reply({"choices": [5]}), "no chat completion"),
        (Reply([1]), "no chat completion"),
        (Reply(7), "no chat completion"),
        (Reply({}, 500), "status 500"),
        (Reply({}, 429), "status 429"),
    ],
)
def test_a_judge_that_never_judges_makes_the_rollout_invalid(reply, reason):
    with serve(reply) as (server, address):
        [outcome] = combine_batch(judge(address, max_attempts=2), [reward_input()])
    assert isinstance(outcome, RewardUnavailableError)
    assert reason in str(outcome)
    assert len(server.requests) == 2


def test_a_slow_judge_is_given_up_in_bounded_time():
    drip = Reply(completion("Score: 1"), drip_seconds=0.1)
    began = time.monotonic()
    with serve(drip) as (_, address):
        [outcome] = combine_batch(
            judge(address, timeout_seconds=0.3, max_attempts=2), [reward_input()]
        )
        took = time.monotonic() - began
    assert isinstance(outcome, RewardUnavailableError)
    assert took < 2.5


def test_a_dead_judge_is_invalid_and_says_why():
    [outcome] = combine_batch(judge(dead_address(), max_attempts=2), [reward_input()])
    assert isinstance(outcome, RewardUnavailableError)
    assert "gave up after 2 attempts: APIConnectionError" in str(outcome)


def test_one_response_too_long_for_the_judge_is_invalid_alone():
    def answer(request):
        is_long = "LONG" in request["messages"][0]["content"]
        return Reply({"error": {"message": "context"}}, 400) if is_long else GOOD_JUDGEMENT

    with serve(answer) as (server, address):
        fine, long = combine_batch(judge(address), [reward_input(), reward_input("LONG")])
    assert fine.value == 0.75
    assert isinstance(long, RewardUnavailableError)
    assert len(server.requests) == 2


def test_a_refused_key_is_an_error_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "s3cret-key")
    refusal = Reply({"error": {"message": "bad key s3cret-key"}}, 401)
    refused = pytest.raises(RewardError, match="status 401")
    with serve(refusal) as (server, address), refused as caught:
        combine_batch(judge(address, api_key_env="JUDGE_KEY"), [reward_input()])
    assert server.headers[0]["Authorization"] == "Bearer s3cret-key"
    assert "s3cret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "m", "api_key_env": "NOT_SET_ANYWHERE"},
            "NOT_SET_ANYWHERE'?: not set in the env",
        ),
        (
            {"model": "m", "api_key_env": "", "template": "{answer}"},
            r"template: has no \{response\}",
        ),
        ({"model": "m", "api_key_env": "", "base_url": "judge:8000"}, "base_url='judge:8000'"),
        ({"model": "m", "api_key_env": "", "request": {"stream": True}}, r"\['stream'\]"),
        ({"model": "m", "api_key_env": "", "request": {"temprature": 0}}, "temprature"),
        ({"model": "m", "api_key_env": "", "max_concurrent": 0}, "max_concurrent=0"),
        ({}, "missing a required argument: 'model'"),
        (
            {"model": "m", "api_key": "sk-1"},
            "options don't fit.*'api_key'; options it takes: model,",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_rewards([RewardSpec(name="llm_judge", options=options)])
    assert "rewards[0].options" in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_the_key_is_looked_for_in_openais_variable_by_default(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        LlmJudgeReward(model="m")
