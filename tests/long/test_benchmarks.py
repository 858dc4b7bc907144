"""`vr1 eval` through the real rollout actor, a real engine in it: asked, stopped, gone on with, asked again, judged."""

import json
from pathlib import Path

import pytest

from tests.builders import save_random_tiny_model
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import load_config
from vr1_ray.evaluation.table import PAPER_LABEL
from vr1_ray.loops.benchmark_loop import read_benchmarks
from vr1_ray.loops.recipe_loop import RUNS
from vr1_ray.models import load_adapter
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.types import SamplingSpec

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_a_benchmark_is_evaluated_per_question_and_a_stopped_run_goes_on(
    local_ray, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    model = save_random_tiny_model(tmp_path / "model")
    overrides = [
        f"model.path={model}",
        f"runs_folder={tmp_path}",
        "benchmarks=[mathvista]",
        "rollout.engine=hf",  # the real actor and pool; vLLM behind them is test_rl_end_to_end's
        "rollout.num_cpus_per_engine=0.2",
        "eval.max_response_tokens=8",
        "eval.temperature=1.0",
        "eval.num_samples=2",
        "eval.max_questions=4",
    ]
    config = load_config(ROOT / "configs" / "evaluate.yaml", overrides)
    result = RUNS["eval"](config, StopSignal())
    folder = config.folder / "benchmarks" / "policy"
    assert set(result["metrics"]) >= {"accuracy", "mathvista", "mathvista/pass@2"}
    responses = (folder / "mathvista.responses.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in (folder / "mathvista.jsonl").read_text().splitlines()]
    assert len(responses) == len(rows) == 8
    assert {row["sample"] for row in rows} == {0, 1}
    assert all(
        (config.folder / "benchmarks/policy/../images" / row["images"][0]).exists() for row in rows
    )
    assert "PROTOCOL" not in (folder / "table.txt").read_text()

    # As if killed: two questions' responses are there and half of a line.
    kept = "\n".join(responses[:4]) + "\n" + responses[4][:20]
    (folder / "mathvista.responses.jsonl").write_text(kept)
    RUNS["eval"](config, StopSignal())
    again = (folder / "mathvista.responses.jsonl").read_text().splitlines()
    assert again[:4] == responses[:4]
    assert sorted(again) == sorted(responses)  # seeds come from the question, not from the order

    # All are there: judged again without an engine.
    monkeypatch.setattr("vr1_ray.loops.eval_loop.Fleet", no_fleet)
    assert RUNS["eval"](config, StopSignal())["metrics"] == result["metrics"]


def no_fleet(config):
    raise AssertionError("a fleet was started")


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_under_protocol_paper_a_response_without_the_format_is_drawn_five_times_and_the_last_counts(
    local_ray, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    model = save_random_tiny_model(tmp_path / "model")  # never writes </answer>
    overrides = [
        f"model.path={model}",
        f"runs_folder={tmp_path}",
        "benchmarks=[mm_math]",  # which the harness scores without a judge
        "rollout.num_cpus_per_engine=0.2",
        "eval.protocol=paper",
        "eval.max_response_tokens=8",
        "eval.temperature=1.0",
        "eval.max_questions=3",
    ]
    config = load_config(ROOT / "configs" / "evaluate.yaml", overrides)
    benchmarks = read_benchmarks(config, load_adapter(config.model), max_response_tokens=8)
    prompts = [question.prompt for question in benchmarks.selections[0].questions]
    spec = SamplingSpec(max_response_tokens=8, group_size=1, temperature=1.0)
    with Fleet(config) as fleet:
        fleet.start()
        benchmarks.ask(fleet, "policy")
        draws = [
            {
                group.prompt.prompt_id: group.rollouts[0].text
                for group in fleet.evaluate_each(prompts, spec, attempt=attempt)
            }
            for attempt in range(5)
        ]
    benchmarks.judge_and_write("policy", is_shown=False)

    folder = config.folder / "benchmarks" / "policy"
    rows = [json.loads(line) for line in (folder / "mm_math.jsonl").read_text().splitlines()]
    assert [row["times_asked"] for row in rows] == [5, 5, 5]
    for prompt, row in zip(prompts, rows, strict=True):
        texts = [draw[prompt.prompt_id] for draw in draws]
        assert len(set(texts)) == 5  # each draw has a seed of its own
        assert row["response"] == texts[4]
    [result] = json.loads((folder / "scores.json").read_text())["results"]
    assert result["asked_again"] == 3
    table = (folder / "table.txt").read_text()
    assert table.startswith(PAPER_LABEL)
    assert "3 questions were sampled more than once" in table
