"""Benchmarks answered elsewhere: a file of responses, or a model behind an endpoint; no model is loaded, no engine."""

import json
from pathlib import Path

import pytest

from tests.unit.endpoints.scripted_server import Reply, dead_address, serve
from tests.unit.evaluation.questions import wrapped
from vr1_ray.commands.check import run_check
from vr1_ray.config import ConfigError, EvalConfig, PolicyConfig, RunConfig, check_config
from vr1_ray.data import DataError
from vr1_ray.evaluation import load_selections
from vr1_ray.evaluation.remote import RemotePolicyError
from vr1_ray.loops.benchmark_elsewhere import take_elsewhere
from vr1_ray.loops.eval_loop import read_elsewhere
from vr1_ray.loops.recipe_loop import run_one
from vr1_ray.runs.stopping import StopSignal

pytestmark = pytest.mark.slow  # together over five seconds

FIXTURES = Path(__file__).parents[3] / "examples" / "evaluation" / "fixtures"


def config(tmp_path, benchmarks=("mathvista",), **changes):
    evaluation = EvalConfig(benchmarks_folder=str(FIXTURES), max_response_tokens=64, **changes)
    return RunConfig(
        kind="eval", name="elsewhere", runs_folder=str(tmp_path), benchmarks=list(benchmarks), eval=evaluation
    )  # fmt: skip


def questions(name="mathvista"):
    settings = EvalConfig(benchmarks_folder=str(FIXTURES))
    [selection] = load_selections([name], settings)
    return selection.questions


def rows(name="mathvista", column="question_id", text="response"):
    return [
        {column: question.question_id, text: wrapped(question.answer)}
        for question in questions(name)
    ]


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tsv":
        lines = ["\t".join(content[0])] + ["\t".join(row.values()) for row in content]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        lines = [json.dumps(row) + "\n" for row in content]
        path.write_text("".join(lines), encoding="utf-8")
    return path


def scored(settings):
    """The figures of an evaluation, made as `vr1 eval` makes it."""
    check_config(settings)
    return run_one(settings, StopSignal())["metrics"]


@pytest.mark.parametrize(
    ("file", "column", "text"),
    [
        ("mine.jsonl", "question_id", "response"),
        ("mine.json", "pid", "response"),
        ("mine.tsv", "index", "prediction"),  # VLMEvalKit's
        ("folder/mathvista.jsonl", "id", "prediction"),
        ("folder/mathvista.responses.jsonl", "question_id", "response"),
    ],
)
def test_a_file_of_responses_is_scored_without_a_model(tmp_path, file, column, text):
    path = written(tmp_path / file, rows(column=column, text=text))
    given = path.parent if path.parent.name == "folder" else path
    settings = config(tmp_path, responses=str(given))
    assert scored(settings)["mathvista"] == 1.0
    assert settings.model.path == ""
    table = (settings.folder / "benchmarks/policy/table.txt").read_text()
    assert f"{given}: responses made elsewhere, no judge" in table


def test_a_file_may_hold_several_samples_and_several_benchmarks(tmp_path):
    content = [
        row | {"sample": sample, "benchmark": name}
        for name in ("mathvista", "chartqa")
        for row in rows(name)
        for sample in range(2)
    ]
    for row in content[1::2]:
        row["response"] = wrapped("nothing of the kind")
    path = written(tmp_path / "mine.jsonl", content)
    figures = scored(config(tmp_path, ["mathvista", "chartqa"], responses=str(path), num_samples=2))
    assert figures["mathvista"] == figures["chartqa"] == 0.5
    assert figures["mathvista/pass@2"] == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"has no response to \d+ of \d+ questions of mathvista"),
        ([{"question_id": "nobody", "response": "3"}], r"the file has nobody \.\.\.; give them"),
        ([{"question": "1", "response": "3"}], r"row 0: has none of question_id, index"),
        ([{"question_id": "1", "text": "3"}], r"row 0: has none of response, prediction"),
        (["text"], "row 0: is no row of columns"),
    ],
)
def test_a_file_that_lacks_something_is_refused_by_what_it_lacks(tmp_path, content, message):
    if content and isinstance(content[0], dict) and content[0].get("question_id") == "1":
        content = [content[0] | {"question_id": questions()[0].question_id}]
    path = written(tmp_path / "mine.jsonl", content)
    with pytest.raises(DataError, match=message):
        scored(config(tmp_path, responses=str(path)))


def test_a_file_that_was_mended_is_taken_under_the_same_label(tmp_path):
    path = written(tmp_path / "mine.jsonl", rows()[1:])
    with pytest.raises(DataError, match="has no response to 1 of"):
        scored(config(tmp_path, responses=str(path)))
    written(path, rows())
    assert scored(config(tmp_path, responses=str(path)))["mathvista"] == 1.0


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"eval\.responses: .*none\.jsonl is no file"):
        scored(config(tmp_path, responses=str(tmp_path / "none.jsonl")))


def test_another_file_under_the_same_label_is_not_mixed_in(tmp_path):
    path = written(tmp_path / "mine.jsonl", rows())
    settings = config(tmp_path, responses=str(path))
    take_elsewhere(read_elsewhere(settings).benchmarks, "policy")
    written(path, [row | {"response": "5"} for row in rows()])
    with pytest.raises(ConfigError, match="content: changed since the responses"):
        take_elsewhere(read_elsewhere(settings).benchmarks, "policy")


def completion(text, *, finish_reason="stop"):
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}  # fmt: skip
    usage = {"completion_tokens": 7, "prompt_tokens": 1, "total_tokens": 8}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}  # fmt: skip


def policy(address, **changes):
    return PolicyConfig(
        **{"model": "m", "base_url": f"{address}/v1", "api_key_env": "", "timeout_seconds": 5, "backoff_seconds": 0}
        | changes
    )  # fmt: skip


def test_a_model_behind_an_endpoint_is_asked_with_its_pictures(tmp_path):
    with serve(Reply(completion(wrapped("14"), finish_reason="length"))) as (server, address):
        settings = config(tmp_path, policy=policy(address), temperature=0.5, top_p=0.9)
        settings.model.system_prompt = "Be brief."
        scored(settings)
        number = len(server.requests)
        scored_again = read_elsewhere(settings).benchmarks
        take_elsewhere(scored_again, "policy")  # every response is there
        assert len(server.requests) == number == len(questions())
        first = server.requests[0]
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.5, 0.9, 64)
    system, user = first["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][0]["image_url"]["url"].startswith("data:image/")
    assert "<image>" not in user["content"][1]["text"]
    rows = (settings.folder / "benchmarks/policy/mathvista.jsonl").read_text().splitlines()
    assert {(json.loads(row)["tokens"], json.loads(row)["is_cut"]) for row in rows} == {(7, True)}


def test_an_endpoint_that_is_down_gives_no_score_and_what_came_is_kept(tmp_path):
    settings = config(tmp_path, policy=policy(dead_address(), max_attempts=1))
    with pytest.raises(
        RemotePolicyError, match=r"eval\.policy: \d+ of \d+ questions got no .*Connection"
    ):
        scored(settings)
    with serve(Reply(completion(wrapped(questions()[0].answer)))) as (_, address):
        settings.eval.policy.base_url = f"{address}/v1"
        settings.eval.label = "again"
        assert 0 < scored(settings)["mathvista"] < 1


def test_a_question_that_the_endpoint_refuses_counts_as_wrong_and_is_counted(tmp_path):
    with serve(Reply({"error": "too long"}, 400), Reply(completion(wrapped("14")))) as (_, address):
        settings = config(tmp_path, policy=policy(address, max_missing=0.5, max_concurrent=1))
        scored(settings)
    table = (settings.folder / "benchmarks/policy/table.txt").read_text()
    assert "1 responses that the endpoint did not give count as wrong" in table


def test_under_protocol_paper_an_endpoint_is_asked_again_for_the_format(tmp_path):
    with serve(Reply(completion("no format"))) as (server, address):
        settings = config(
            tmp_path, ["mm_math"], policy=policy(address), protocol="paper", temperature=0.6, max_questions=1
        )  # fmt: skip
        scored(settings)
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"responses": "x", "policy": PolicyConfig(model="m")}, "keep one of them"),
        ({"responses": "x", "data": "y"}, "answers benchmarks only"),
        ({"policy": PolicyConfig(model="m", max_missing=2)}, "eval.policy.max_missing: 2 must be 0 to 1"),
        ({"policy": PolicyConfig(model="m", base_url="judge:80", api_key_env="")}, r"eval\.policy\.base_url"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        scored(config(tmp_path, **changes))


def test_a_policy_elsewhere_is_for_evaluations_only(tmp_path):
    settings = config(tmp_path, responses="x")
    settings.kind = "rl"
    with pytest.raises(ConfigError, match="this is a run of kind rl; use kind eval"):
        check_config(settings)


def test_vr1_check_reads_benchmarks_and_responses_and_asks_for_no_model(tmp_path):
    path = written(tmp_path / "mine.jsonl", rows())
    table = {row.name: row for row in run_check(config(tmp_path, responses=str(path)))}
    number = len(questions())
    assert table["mathvista"].value == f"{number} questions, {number} responses"
    written(path, rows()[1:])
    table = {row.name: row for row in run_check(config(tmp_path, responses=str(path)))}
    assert "has no response to 1 of" in table["benchmarks"].cure
