"""The model card of a policy: the hub's fields, the recipe, and the figures that the run has left so far."""

import json
from dataclasses import replace

import pytest
import yaml

from tests.unit.preflight.test_plan import rl_7b
from vr1_ray.config import load_config
from vr1_ray.runs.model_card import model_card

FIRST = {"stage": 1, "max_response_tokens": 4096, "group_size": 16}
SECOND = {"stage": 2, "max_response_tokens": 8192, "group_size": 8, "loss": 0.01, "time/step": None}


def write_rows(config, rows):
    config.folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (config.folder / "metrics.jsonl").write_text(lines)


def test_the_card_has_the_hubs_fields_recipe_and_figures(tmp_path):
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="vision_r1/rl_7b")
    (config.folder / "evaluations").mkdir(parents=True)
    metrics = {
        "accuracy": 0.857, "hard_reward": 0.85, "format_rate": 1.0, "mean_response_tokens": 65.3,
        "truncation_rate": 0.0,
    }  # fmt: skip
    (config.folder / "evaluations/rl.json").write_text(
        json.dumps({"label": "rl", "metrics": metrics})
    )
    rows = [{"step": step, **FIRST} for step in range(1, 101)]
    rows += [{"step": step, **SECOND, "reward/mean": 0.6} for step in range(101, 201)]
    write_rows(config, rows)
    card = model_card(config, history=["cold_start", "rl"], base="Qwen/Qwen2.5-VL-7B-Instruct")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["base_model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert front["pipeline_tag"] == "image-text-to-text"
    assert "cold start on chains of thought, then GRPO under PTST" in card
    assert "| stages | 4096 tokens x 16, 100 steps; 8192 tokens x 8, 100 steps |" in card
    assert "| rl | 0.857 | 0.850 | 1.000 | 65.300 | 0.000 |" in card
    assert "## Step 200" in card
    assert "| reward | 0.600 |" in card


def test_a_run_without_figures_and_a_base_that_is_a_folder(tmp_path):
    config = replace(rl_7b(), kind="sft", runs_folder=str(tmp_path), name="cold")
    card = model_card(config, history=["cold_start"], base=str(tmp_path))
    assert "base_model" not in card
    assert "## Evaluations" not in card
    assert "| demonstrations an update | 512 |" in card


def test_an_evaluation_on_benchmarks_alone_is_told_by_their_headlines(tmp_path):
    names = ["mathvista", "mathverse/vision_only"]
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="demo", benchmarks=names)
    metrics = {"accuracy": 0.25, "mathvista": 0.5, "mathvista/GPS": 0.75}
    for label in ("start", "step_000020"):
        path = config.folder / "evaluations" / f"{label}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"label": label, "metrics": metrics}))
        metrics = metrics | {"mathverse/vision_only": 0.125}
    card = model_card(config, history=["rl"], base="base")
    assert "| policy | accuracy | mathvista | mathverse/vision_only |" in card
    assert "| start | 0.250 | 0.500 | - |" in card
    assert "| step_000020 | 0.250 | 0.500 | 0.125 |" in card


@pytest.mark.parametrize(
    ("algorithm", "curriculum", "words"),
    [
        ("grpo", "ptst", "GRPO under PTST"),
        ("dr_grpo", "ptst", "Dr. GRPO under PTST"),
        ("rloo", "constant", "RLOO under one stage throughout"),
        ("mine.losses:Mine", "mine.plans:Plan", "mine.losses:Mine under mine.plans:Plan"),
    ],
)
def test_the_card_names_what_was_done_and_not_what_is_usual(tmp_path, algorithm, curriculum, words):
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="demo")
    config.algorithm.name, config.curriculum.name = algorithm, curriculum
    rows = [{"step": step, **FIRST} for step in range(1, 25)]
    write_rows(config, [*rows, {"step": 25, **SECOND, "accuracy": float("nan")}])
    ends = ["stage 1 ended after 24 of 100 steps: solved"]
    card = model_card(config, history=["cold_start", "rl"], base="b", early_ends=ends)
    assert f"from `b`: cold start on chains of thought, then {words}." in card
    assert ("GRPO under PTST" in card) == (words.endswith("GRPO under PTST"))
    assert "| stages | 4096 tokens x 16, 24 of 100 steps; 8192 tokens x 8, 1 of 100 steps |" in card
    assert "| steps done | 25 |" in card
    assert "Ended early: stage 1 ended after 24 of 100 steps: solved." in card
    assert "nan" not in card


def test_the_settings_on_the_card_make_the_same_config_again(tmp_path):
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="demo")
    card = model_card(config, history=["rl"], base="b")
    settings = card.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "again.yaml").write_text(settings)
    assert load_config(tmp_path / "again.yaml") == config
    assert "| steps done | - |" in card  # nothing was done yet


def test_every_part_is_told_in_its_own_words(tmp_path):
    config = replace(rl_7b(), runs_folder=str(tmp_path), name="demo")
    told = ["cold start on chains of thought", "RLOO under PTST", "GRPO under PTST"]
    card = model_card(config, history=["cold_start", "rl"], base="b", told=told)
    assert f"from `b`: {', then '.join(told)}." in card
