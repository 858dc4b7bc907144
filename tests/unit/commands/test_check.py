"""`vr1 check`: every shipped config gives a table and an exit code, and each of many broken ones the right cure."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.unit.preflight.test_inputs import MODEL, write_rows
from vr1_ray.cli import main
from vr1_ray.commands.check import run_check
from vr1_ray.config import load_config
from vr1_ray.preflight import is_sound, render
from vr1_ray.preflight.node import NodeFacts, node_rows

pytestmark = pytest.mark.slow  # together over five seconds

ROOT = Path(__file__).parents[3]
# `kind: bridge` has a check of its own, tested with it.
CONFIGS = [
    path
    for path in sorted((ROOT / "configs").rglob("*.yaml"))
    if not path.stem.startswith("bridge")
]
HERE = "tests.unit.commands.broken_rewards"


@pytest.fixture
def sound(tmp_path) -> Path:
    """A small sound RL run."""
    config = {
        "kind": "rl",
        "name": "demo",
        "runs_folder": str(tmp_path / "runs"),
        "prompts_per_step": 2,
        "allow_base_policy": True,
        "model": {"path": MODEL, "max_model_len": 256},
        "data": {"train": write_rows(tmp_path), "max_prompt_tokens": 64},
        "rollout": {"kv_cache_gib": 0.1, "num_cpus_per_engine": 0.1},
        "trainer": {"num_cpus_per_worker": 0.1},
        "reference": {"num_cpus_per_actor": 0.1},
        "reward_pools": {"default": {"num_cpus_per_actor": 0.1}},
        "curriculum": {"stages": [{"max_response_tokens": 32, "group_size": 2, "steps": 4}]},
        "cluster": {"address": "local", "num_cpus": 2},
    }
    path = tmp_path / "demo.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_sound_run_is_one_green_table(sound, capsys):
    assert main(["check", str(sound)]) == 0
    printed = capsys.readouterr().out
    for name in (
        "packages", "settings", "model: reachable", "chat template and response format", "data.train",
        "prompt tokens, 4 prompts", "image tokens a prompt", "rewards, rehearsed on 3 rows",
        "CPUs reserved", "stage 1: batch", "trainer: a rank", "reference: an actor",
        "engine: KV cache a device", "disk: checkpoints", "stage 1: a step, about", "the run, about",
    ):  # fmt: skip
        assert name in printed
    assert "the reference answer earns 1, 1, 1" in printed
    assert "0 warning, 0 bad" in printed


ASSUME = "cluster.assume={nodes: 1, gpus_per_node: 8"
BROKEN = [
    # overrides, what the cure says
    (["model.path=no/such/model"], "model.path"),
    (["model.path={tmp}"], "config.json"),
    (["model.path={without_weights}"], "lacks model.safetensors"),
    (["data.train={tmp}/none.parquet"], "none.parquet does not exist; check the path"),
    (["data.answer_column=solution"], "set data.answer_column to the right one"),
    (["data.max_prompt_tokens=4"], "raise the limit or lower model.max_pixels"),
    (["rewards=[{name: hard_fromat}]"], "known: hard_format"),
    (["rewards=[{name: repetition, options: {m: 3}}]"], "options it takes"),
    ([f"rewards=[{{name: '{HERE}:Raises'}}]"], "mend the reward"),
    ([f"rewards=[{{name: '{HERE}:Exits'}}]"], "ended its process (exit code 7)"),
    (["rewards=[{name: hard_format, pool: fast}]"], "none of reward_pools"),
    (["algorithm.name=ppo"], "grpo"),
    (["curriculum.name=linear"], "ptst"),
    (["curriculum.stages=[{max_response_tokens: 512, group_size: 2, steps: 4}]"], "raise model.max_model_len to 576"),
    (["curriculum.stages=[{max_response_tokens: 32, group_size: 1, steps: 4}]"], "group_size: 1 must be at least 2"),
    (["trainer.mini_batches_per_step=3"], "use a multiple of 3"),
    (["trainer.zero_stage=4"], "trainer.zero_stage: 4 must be 0 to 3"),
    (["prompts_per_step=64"], "lower it, or give more data"),
    (["allow_base_policy=false"], "vr1 sft"),
    (["eval.every_steps=5"], "give the held-out data"),
    (["eval.data={tmp}/none"], "eval.data"),
    (["rollout.top_p=0.9"], "use 1.0 in training"),
    (["rollout.kv_cache_gib=0.0001"], "raise rollout.kv_cache_gib"),
    (["rollout.tensor_parallel_size=2"], "take one of these"),
    (["trainer.num_workers=30"], "lower trainer.num_workers"),
    (["trainer.num_gpus_per_worker=1"], "torch sees no GPU"),
    (["name=../x"], "use letters, digits"),
    ([ASSUME + ", disk_gib: 0.01}"], "lower checkpoint.keep_last"),
    ([ASSUME + ", gpu_gib: 0.01}", "rollout.num_gpus_per_engine=1", "trainer.num_gpus_per_worker=1"], "tensor_parallel_size"),
    ([ASSUME + "}", "trainer.num_workers=9", "trainer.num_gpus_per_worker=1"], "or add nodes"),
]  # fmt: skip


@pytest.fixture(scope="module")
def without_weights(tmp_path_factory) -> Path:
    """vr1-tiny, but for its weights."""
    folder = tmp_path_factory.mktemp("model")
    for path in Path(MODEL).iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(("overrides", "cure"), BROKEN, ids=lambda value: str(value)[:60])
def test_a_broken_config_is_red_with_its_cure(sound, tmp_path, without_weights, overrides, cure):
    places = {"{tmp}": str(tmp_path), "{without_weights}": str(without_weights)}
    for name, place in places.items():
        overrides = [override.replace(name, place) for override in overrides]
    rows = run_check(load_config(sound, overrides))
    bad = [row for row in rows if row.status == "bad"]
    assert any(cure in row.cure for row in bad), render(rows, colour=False)
    assert not any("could not be checked" in row.value for row in rows)


def test_right_answers_that_earn_nothing_are_a_warning(sound):
    rows = run_check(load_config(sound, [f"rewards=[{{name: '{HERE}:is_never_right'}}]"]))
    [found] = [row for row in rows if row.status == "warning"]
    assert "data.answer_column" in found.cure


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_gives_a_table_and_an_exit_code(path, capsys, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code = main(["check", str(path), "cluster.address=local"])
    printed = capsys.readouterr()
    assert "could not be checked" not in printed.out
    assert "Traceback" not in printed.out + printed.err
    # The papers' recipes are sound for the machines they name, though neither model nor data is here.
    is_recipe = path.parent.name == "vision_r1"
    # These two start from what the quickstart leaves.
    left = (ROOT / "runs/quickstart/cold_start/policy").is_dir()
    expected = 1 if path.stem in ("quickstart_rl", "tiny_rl") and not left else 0
    assert code == expected, printed.out
    if is_recipe:
        assert "assumed: " in printed.out
        assert "a step, about" in printed.out or "an update, about" in printed.out


def node(**changes) -> NodeFacts:
    known = NodeFacts(
        name="a", packages={"torch": "2.13.0", "vllm": "0.32.0"}, wrong=[], cpus=8, host_bytes=2**40
    )
    return replace(known, **changes)


def test_nodes_with_other_packages_or_without_a_path_are_named():
    nodes = [node(), node(name="b", packages={"torch": "2.12.0"}, unseen=["/data/rl"])]
    rows = list(node_rows(nodes, needs_vllm=True, needs_gpus=False))
    cures = json.dumps([row.cure for row in rows])
    assert "b: vllm is not installed" in cures
    assert "b: torch 2.12.0, a has 2.13.0" in cures
    assert "b can't see it" in cures
    assert not is_sound(rows)


def test_memory_of_a_gpu_that_others_hold_is_a_warning():
    busy = node(gpus=[("H100", 60 * 2**30, 80 * 2**30), ("H100", 79 * 2**30, 80 * 2**30)])
    rows = list(node_rows([busy], needs_vllm=True, needs_gpus=True))
    assert [row.status for row in rows] == ["ok", "warning"]
    assert "2 (H100), least free 60.0 GiB" in rows[1].value


# What a table of an RL run always has: the part, and how a row of it begins, looked at or not.
PARTS = {
    "settings": ("settings",),
    "model": ("model: reachable", "inputs"),
    "format": ("chat template and response format", "inputs"),
    "data": ("data.train", "inputs"),
    "rewards": ("rewards", "inputs"),
    "fit": ("trainer", "plan", "model size"),
    "time": ("the run, about", "time"),
}


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model.path=no/such/model"],
        ["model.path={tmp}"],
        ["data.train={tmp}/none.parquet"],
        ["data.answer_column=solution"],
        ["rewards=[{name: hard_fromat}]"],
        ["prompts_per_step=0"],
        ["cluster.assume={nodes: 1, gpus_per_node: 8, gpu_gib: 80}", "model.path=far/away"],
    ],
    ids=" ".join,
)
def test_no_check_vanishes_from_the_table(sound, tmp_path, overrides):
    rows = run_check(
        load_config(
            sound, [one.format(tmp=tmp_path) if "{tmp}" in one else one for one in overrides]
        )
    )
    for part, starts in PARTS.items():
        assert any(row.name.startswith(starts) for row in rows), (part, render(rows))
    for row in rows:
        if row.value == "not checked":
            assert row.status == "warning"
            assert row.cure, row.name


def test_what_a_recipes_earlier_step_makes_is_yellow_and_says_when_it_is_checked(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where no quickstart has been run
    rows = {row.name: row for row in run_check(load_config(ROOT / "configs/quickstart.yaml"))}
    row = rows["rl: rewards, rehearsed"]
    assert (row.value, row.status) == ("not checked", "warning")
    assert "earlier step" in row.cure
    assert rows["rl: model: reachable"].status == "warning"


def test_data_that_a_node_does_not_see_is_sent_to_it_and_a_model_is_not():
    data = {"needs_vllm": False, "needs_gpus": False, "data_paths": ["/data/a.jsonl"]}
    seen = {row.name: row for row in node_rows([node(), node(name="b")], **data)}
    assert seen["pictures"].value == "read where they are used, by 2 nodes"
    blind = node(name="b", unseen=["/data/a.jsonl", "/models/m"])
    found = {row.name: row for row in node_rows([node(), blind], **data)}
    assert found["pictures"].status == "ok"
    assert found["pictures"].value == "sent from this machine as bytes"
    assert found["pictures"].cure.startswith("b does not see /data/a.jsonl")
    assert found["paths on every node"].value == "/models/m"
    assert found["paths on every node"].status == "bad"
