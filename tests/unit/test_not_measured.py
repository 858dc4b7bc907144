"""What nothing measured is absent or "-", wherever figures are made, compared or shown; never 0, never the best."""

import json
from dataclasses import replace

import pytest

from tests.unit.curriculum.test_curriculum import TWO
from tests.unit.loops.test_measures import group, rollout
from tests.unit.preflight.test_plan import rl_7b
from vr1_ray.bridging.audit import audit
from vr1_ray.commands.runs import runs_text
from vr1_ray.commands.status import status_text
from vr1_ray.config import EvalConfig, RunConfig, save_config
from vr1_ray.curriculum import make_curriculum
from vr1_ray.evaluation.table import result_text
from vr1_ray.loops.bridge_loop import summary_lines
from vr1_ray.loops.measures import group_metrics
from vr1_ray.report import result_table
from vr1_ray.runs.figures import shown
from vr1_ray.runs.model_card import model_card
from vr1_ray.runs.run_folder import write_result
from vr1_ray.runs.saving import Saver
from vr1_ray.tracking.sinks import ConsoleSink

NAN = float("nan")
SHARED = {"accuracy", "format_rate", "answer_check/bounded"}
ROW = {"step": 1, "reward/mean": 0.25, "response_tokens/mean": 4.0, "time/step": 1.0}


def measured_by(*parts):
    """Metrics of a step whose rewards report these parts."""
    names = {"accuracy": 1.0, "format": 1.0, "answer_check/bounded": 0.0}
    rollouts = [
        replace(rollout(i, reward=1, tokens=4), reward_parts={name: names[name] for name in parts})
        for i in range(2)
    ]
    return group_metrics([group("a", *rollouts)])


def test_a_step_has_the_figures_that_its_rewards_measure_and_no_others():
    assert SHARED & set(measured_by()) == set()
    assert SHARED & set(measured_by("accuracy")) == {"accuracy"}
    assert SHARED & set(measured_by("accuracy", "format", "answer_check/bounded")) == SHARED
    assert "accuracy" not in ConsoleSink(9).line(1, ROW | measured_by())


def test_a_mean_is_over_the_rollouts_that_have_the_part():
    known = replace(rollout(0, reward=1, tokens=4), reward_parts={"accuracy": 1.0})
    unknown = replace(rollout(1, reward=0, tokens=4), reward_parts={})
    assert group_metrics([group("a", known, unknown)])["accuracy"] == 1.0


@pytest.mark.parametrize(
    "missing", [{}, {"accuracy": NAN}, {"accuracy": None}, {"accuracy": float("inf")}]
)
def test_an_evaluation_without_the_figure_is_never_the_best(tmp_path, missing):
    config = RunConfig(kind="rl", name="demo", runs_folder=str(tmp_path), eval=EvalConfig())
    saver = Saver(config, total_steps=9, write=lambda _: None, note=print)
    assert not saver.is_best(1, missing)
    assert saver.is_best(2, {"accuracy": 0.25})
    saver.best = {"step": 2, "accuracy": 0.25}
    assert not saver.is_best(3, missing)
    assert not saver.is_best(4, {"accuracy": 0.125})
    saver.best = {"step": 3, **missing}  # as a run of an earlier version may have left it
    assert saver.is_best(5, {"accuracy": 0.0})


def test_a_stage_takes_no_mean_over_what_is_no_number():
    curriculum = make_curriculum(TWO)
    for accuracy in (NAN, 0.5):
        step, _ = curriculum.begin_step()
        curriculum.observe(step, {"accuracy": accuracy, "reward/mean": None})
    [stage] = curriculum.summary()
    assert stage["accuracy"] == 0.5
    assert (stage["reward"], stage["longest_response"], stage["mean_response_tokens"]) == (
        None,
    ) * 3


@pytest.mark.parametrize("value", [NAN, None])
def test_every_screen_and_page_shows_a_dash(tmp_path, value):
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="demo")
    save_config(config, config.folder / "config.yaml")
    row = json.dumps(
        ROW | {"accuracy": None, "stage": 1, "max_response_tokens": 4, "group_size": 2}
    )
    (config.folder / "metrics.jsonl").write_text(row + "\n")
    (config.folder / "evaluations").mkdir()
    (config.folder / "evaluations/rl.json").write_text(
        json.dumps({"label": "rl", "metrics": {"accuracy": value, "format_rate": 0.5}})
    )
    write_result(config, {"kind": "rl", "best": {"step": 1, "accuracy": value, "checkpoint": "c"}})
    score = {"value": None, "interval": None, "num": 0, "complete": None, "no_answer": 0}
    benchmark = {
        "name": "we_math", "benchmark": "we_math", "num_questions": 0, "num_published": 9, "num_samples": 1,
        "scores": {"strict": score}, "headline": "strict", "main": [], "headline_without_judge": None, "judged": 2,
        "undecided": 0, "missing_judgements": 0, "no_response": 0, "not_asked": 0, "cut": 0, "asked_again": 0, "warning": "",
    }  # fmt: skip
    settings = {"temperature": 0, "model": "m", "max_response_tokens": 4, "judge": "", "protocol": "honest"}  # fmt: skip
    texts = {
        "console": ConsoleSink(9).line(1, ROW | {"accuracy": value}),
        "status": status_text(str(config.folder)),
        "runs": runs_text(tmp_path),
        "card": model_card(config, history=["rl"], base="b").split("## All settings")[0],
        "report": result_table({"accuracy": {"rl": value, "base": 0.5}, "wall_seconds": {}}),
        "benchmark": result_text([benchmark], settings),
    }
    for name, text in texts.items():
        assert "nan" not in text.lower(), name
        assert "accuracy 0.0" not in text, name
    assert "| rl | - | 0.500 |" in texts["card"]
    assert "accuracy -" in texts["runs"]
    assert "if these were wrong: -" in texts["benchmark"]
    assert shown(value) == "-"


def test_an_audit_of_nothing_kept_has_no_precision():
    found = audit([], {})
    assert [found[name] for name in ("precision", "recall", "drawing_consistency")] == [None] * 3
    text = "\n".join(summary_lines({"kept": 0, "asked": 3, "dropped": {}, **found}))
    assert "precision -, recall -" in text
