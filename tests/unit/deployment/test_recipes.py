"""Every shipped config loads and passes the rules, and the paper's recipes hold the paper's numbers and fit."""

from functools import cache
from pathlib import Path

import pytest
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from tests.unit.preflight.shapes import published_size
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import RunConfig, check_config, load_config, recipe_runs
from vr1_ray.curriculum import make_curriculum
from vr1_ray.preflight import Machine, plan_rows, render
from vr1_ray.rewards import make_rewards

pytestmark = pytest.mark.slow  # together over five seconds

CONFIGS = Path(__file__).parents[3] / "configs"
TEXT_TOKENS = 768  # of template and question: what the recipes leave beside an image
RECIPES = sorted((CONFIGS / "vision_r1").glob("*.yaml"))


@cache
def runs_of(path: Path) -> list[RunConfig]:
    config = load_config(path)
    return recipe_runs(config) if config.kind == "recipe" else [config]


def recipe(name: str) -> RunConfig:
    return load_config(CONFIGS / f"vision_r1/{name}.yaml")


def stages(config: RunConfig) -> list[tuple[int, int, int]]:
    return [(s.max_response_tokens, s.group_size, s.steps) for s in config.curriculum.stages]


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_loads_and_names_only_what_there_is(path):
    for run in runs_of(path):
        check_config(run)
        if run.kind == "rl":
            make_curriculum(run.curriculum)
            make_algorithm(run.algorithm, kind=run.kind)
            make_rewards(run.rewards)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_named_as_its_file_and_says_how_to_run_it(path):
    config = load_config(path)
    assert config.name == f"vision_r1/{path.stem}"
    command = {"recipe": "run"}.get(config.kind, config.kind)
    assert f"#   vr1 {command} configs/vision_r1/{path.name}\n" in path.read_text()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_fits_the_gpus_its_first_line_names(path, tmp_path):
    first_lines = path.read_text().split("\n#\n")[0]
    name = next(name for name in ("7b", "32b", "72b") if name in path.stem)
    machine = Machine(gpu_gib=80, host_gib=2000, free_disk_gib=8000)
    rows = plan_rows(load_config(path), machine, size=published_size(name, tmp_path))
    assert {row.status for row in rows} == {"ok"}, render(rows, colour=False)
    reserved = max(int(row.value) for row in rows if row.name.endswith("GPUs reserved"))
    assert f"on {reserved} GPUs of 80 GB" in first_lines


def test_the_72b_reference_fits_80_gb_only_because_it_is_sharded(tmp_path):
    machine = Machine(gpu_gib=80, host_gib=2000, free_disk_gib=8000)
    whole = load_config(CONFIGS / "vision_r1/recipe_72b.yaml", ["reference.sharded=false"])
    rows = plan_rows(whole, machine, size=published_size("72b", tmp_path))
    assert {row.name for row in rows if row.status != "ok"} == {
        "rl: reference: an actor",
        "more_data: reference: an actor",
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_check_of_a_recipe_says_how_it_would_learn_and_send(path, tmp_path):
    name = next(name for name in ("7b", "32b", "72b") if name in path.stem)
    rows = plan_rows(load_config(path), size=published_size(name, tmp_path))
    for run in runs_of(path):
        step = run.name.removeprefix(f"vision_r1/{path.stem}").lstrip("/")
        prefix = f"{step}: " if step else ""
        said = {
            row.name.removeprefix(prefix): row.value for row in rows if row.name.startswith(prefix)
        }
        assert said["trainer: ZeRO"].startswith(f"stage {2 if name == '7b' else 3}, ")
        assert said["precision"] == "bfloat16, optimizer and master weights in float32"
        assert said["attention"].startswith("auto: flash_attention_2 where it is installed")
        if run.kind == "rl":
            transport = "ipc" if run.is_colocated else "nccl"
            assert said["weights to the engines"].startswith(f"{transport}: ")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_no_recipe_skips_a_prompt_for_the_size_of_its_image(path):
    for run in runs_of(path):
        model, room = run.model, run.data.max_prompt_tokens if run.kind == "rl" else 2048
        for height in (1, 20, 28, 100, 512, 900, 1024, 1400, 2048, 4096, 9000):
            for width in (height, 2 * height, 3 * height + 1, 17 * height, 199 * height):
                sides = smart_resize(
                    height,
                    width,
                    factor=28,
                    min_pixels=model.min_pixels,
                    max_pixels=model.max_pixels,
                )
                image_tokens = sides[0] * sides[1] // 28**2
                assert image_tokens + TEXT_TOKENS <= room, (run.name, height, width)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_cold_start_averages_by_sequence_as_the_authors_did_and_rl_by_token(path):
    for run in runs_of(path):
        algorithm = make_algorithm(run.algorithm, kind=run.kind)
        wanted = {"sft": "sequence_mean", "rl": "token_mean"}[run.kind]
        assert algorithm.aggregation == wanted
        assert not algorithm.needs_entropy_gradient


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_machines_that_a_recipe_assumes_are_those_its_first_line_names(path):
    assume = load_config(path).cluster.assume
    wanted = f"on {assume.nodes * assume.gpus_per_node} GPUs of {assume.gpu_gib:g} GB"
    assert wanted in path.read_text().split("\n#\n")[0]


def test_the_cold_starts_differ_in_ranks_alone():
    many, few = recipe("cold_start_7b"), recipe("cold_start_7b_8gpu")
    assert (many.trainer.num_workers, few.trainer.num_workers) == (32, 8)
    assert many.prompts_per_step == few.prompts_per_step == 32
    few.trainer.num_workers, few.name, few.cluster = 32, many.name, many.cluster
    assert few == many


def test_the_colocated_recipe_differs_in_placement_alone():
    apart, shared = recipe("rl_7b_8gpu"), recipe("rl_7b_8gpu_colocated")
    assert shared.is_colocated
    for name in ("name", "trainer", "rollout", "reference", "reward_pools", "cluster"):
        setattr(shared, name, getattr(apart, name))
    assert shared == apart


def test_ptst_is_the_papers():
    assert stages(recipe("rl_7b")) == [(4096, 16, 100), (8192, 8, 100)]
    assert stages(recipe("rl_7b_8gpu")) == [(4096, 16, 100), (8192, 8, 100)]
    assert stages(recipe("rl_7b_8gpu_colocated")) == stages(recipe("rl_7b_8gpu"))
    assert stages(recipe("rl_7b_stage_3")) == [(4096, 16, 100), (8192, 8, 100), (16384, 4, 100)]
    assert stages(recipe("long_7b")) == [(16384, 4, 300)]
    assert stages(recipe("zero_7b")) == [(4096, 16, 300)]
    for name in ("recipe_32b", "recipe_72b"):
        _, rl, more = runs_of(CONFIGS / f"vision_r1/{name}.yaml")
        assert stages(rl) == [(4096, 16, 100), (8192, 8, 100)]
        assert stages(more)[0][:2] == (8192, 8)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_objective_is_the_papers(path):
    for run in runs_of(path):
        if run.kind != "rl":
            continue
        algorithm = run.algorithm
        assert (algorithm.name, algorithm.clip_low, algorithm.clip_high) == ("grpo", 0.2, 0.2)
        assert algorithm.kl_coef == 0.01
        is_zero = path.stem == "zero_7b"
        assert [r.name for r in run.rewards] == ["soft_format_result" if is_zero else "hard_format"]
        # An update sees 128 prompts, on any number of GPUs.
        assert run.prompts_per_step // run.trainer.mini_batches_per_step == 128


def test_only_zero_has_a_system_prompt():
    for path in RECIPES:
        for run in runs_of(path):
            has_prompt = run.model.system_prompt is not None
            assert has_prompt == (path.stem == "zero_7b")
    assert recipe("zero_7b").model.system_prompt.endswith(
        "<think> reasoning process here </think><answer> answer here </answer>"
    )
