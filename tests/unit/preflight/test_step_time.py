"""The model of the machine: by hand on round numbers, and within a factor of two of what the quickstart takes."""

from dataclasses import replace

import pytest

from tests.unit.preflight.shapes import published_size
from tests.unit.preflight.test_plan import rl_7b
from vr1_ray.config import load_config, recipe_runs
from vr1_ray.config.machines import MachinesConfig
from vr1_ray.preflight import traffic
from vr1_ray.preflight.limits import Machine, assumed_machine
from vr1_ray.preflight.model_size import read_model_size
from vr1_ray.preflight.speed import Speed, gpu_speed, measure_core
from vr1_ray.preflight.step_time import readable, step_seconds, time_rows

# One core of the machine that the README's figures were taken on, by `measure_core(192, 288)`, vr1-tiny's shape: 3.05 to 3.15e10.
CORE = Speed(flops=31e9, bytes_per_second=5e9, is_gpu=False)
TWO_CORES = Machine(cpus_per_node=2, num_nodes=1, speed=CORE)


@pytest.mark.parametrize(
    ("stage", "generate", "reference", "train"),
    [(0, 4.5, 1.5, 4.3), (1, 3.5, 0.6, 1.6)],
)
def test_the_quickstarts_steps_take_what_is_reckoned_within_two(stage, generate, reference, train):
    rl = recipe_runs(load_config("configs/quickstart.yaml"))[-1]
    size = read_model_size("examples/vr1_tiny/model")
    found = step_seconds(rl, TWO_CORES, size, CORE, rl.curriculum.stages[stage], prompt=35.0)
    # The README's run, seed 0: stage 1 about 10 s a step, stage 2 about 5.7 s, of which 4 in 10 groups taught nothing.
    assert generate / 2 < found.generate < 2 * generate
    assert found.reference < 3 * reference
    measured = generate + reference + train
    assert measured / 2 < found.total < 2 * measured


def test_each_part_is_what_its_formula_says(tmp_path):
    size = published_size("7b", tmp_path)
    machine = assumed_machine(MachinesConfig(nodes=8, gpu_tflops=1000, gpu_gb_per_second=1000))
    assert machine.speed is not None
    config = rl_7b()
    stage = config.curriculum.stages[0]
    found = step_seconds(config, machine, size, machine.speed, stage, prompt=1000.0)
    text = size.text.num_parameters
    tokens = 512 * (1000 + 16 * 2048)  # a prompt once a group
    # 6 + 2 with checkpointing + 2 for pi_old of three mini-batches in four; 32 ranks of 1e15 FLOP/s, 0.35 of it used.
    # ZeRO-3: 9 micro-batches of 16,384 tokens in each of 4 updates, three gathers or scatters each, and a gather for
    # each of pi_old's 3 x 9; 31/32 of it from other ranks.
    products = 9.5 * text * tokens / (1e15 * 0.35 * 32)
    sent = (4 * 9 * 3 + 3 * 9) * 2 * size.num_parameters * 31 / 32
    assert found.train == pytest.approx(products + sent / 25e9)
    assert found.reference == pytest.approx(2 * text * tokens / (1e15 * 0.35 * 8))
    assert found.sync == pytest.approx(2 * 2 * size.num_parameters / 1e9)
    nccl = replace(config, rollout=replace(config.rollout, weight_transport="nccl"))
    found_nccl = step_seconds(nccl, machine, size, machine.speed, stage, prompt=1000.0)
    assert found_nccl.sync == pytest.approx(2 * size.num_parameters / 1e10)
    # 341.3 responses an engine, 256 at once: 699,051 tokens in 4096 steps, for one of them reaches the cap.
    steps = 4096 * (0.010 + 2 * size.num_parameters / 0.6e12)
    own = 512 * 16 / 24 * 2048
    cache = 57_344 * (1000 + 1024) / 0.6e12
    prefill = 2 * text * 1000 * 512 / 24 / 0.35e15
    expected = steps + own * (0.00002 + 2 * text / 0.5e15 + cache) + prefill
    assert found.generate == pytest.approx(expected)


def cold_start(tmp_path, *overrides: str) -> float:
    """Seconds of an update as `vr1 check` tells them, of the authors' 32 GPUs."""
    config = load_config("configs/vision_r1/cold_start_7b.yaml", list(overrides))
    assert config.cluster.assume is not None
    machine = assumed_machine(config.cluster.assume)
    rows = time_rows(config, machine, published_size("7b", tmp_path), prompt_tokens=1600.0)
    return float(next(rows).value.split(" s (")[0])


def test_the_authors_cold_start_takes_its_two_seconds_and_most_of_it_is_traffic(tmp_path):
    # 260,992 demonstrations, 2 epochs, 32 an update: 16,312 updates in about 10 hours of 32 H800.
    authors = cold_start(tmp_path, "trainer.zero_stage=3")
    assert authors == pytest.approx(2.2, abs=0.2)
    # ZeRO-2 scatters 15.2 GB of gradients and gathers as many weights: 1.2 s at 25 GB/s, and 0.3 s of products.
    assert cold_start(tmp_path) == pytest.approx(1.5, abs=0.1)
    # On one node 6 times as fast; 4 demonstrations a rank are one micro-batch still.
    assert cold_start(tmp_path, "trainer.num_workers=8") == pytest.approx(1.2, abs=0.2)


def test_one_rank_sends_nothing_and_a_sharded_reference_gathers(tmp_path):
    size, machine = published_size("7b", tmp_path), Machine(gpus_per_node=8)
    alone = rl_7b(trainer=replace(rl_7b().trainer, num_workers=1))
    assert traffic.train_seconds(alone, machine, size, 1e6, num_updates=4) == 0.0
    whole = rl_7b()
    assert traffic.reference_seconds(whole, machine, size, 1e6) == 0.0
    sharded = rl_7b(reference=replace(whole.reference, sharded=True))
    # 8 actors of one node: 8 micro-batches of 16,384 tokens each
    expected = 8 * 2 * size.num_parameters * 7 / 8 / 150e9
    assert traffic.reference_seconds(sharded, machine, size, 1e6) == pytest.approx(expected)


def test_a_run_is_its_stages_and_a_wait_that_may_time_out_is_a_warning(tmp_path):
    size = published_size("7b", tmp_path)
    machine = assumed_machine(MachinesConfig(nodes=8))
    rows = list(time_rows(rl_7b(), machine, size))
    assert [row.name for row in rows] == [
        "stage 1: a step, about", "stage 2: a step, about", "the run, about",
    ]  # fmt: skip
    assert {row.status for row in rows} == {"ok"}
    config = rl_7b()
    hasty = replace(config, cluster=replace(config.cluster, step_timeout_seconds=60))
    found = next(time_rows(hasty, machine, size))
    assert found.status == "warning"
    assert "cluster.step_timeout_seconds" in found.cure


def test_gpus_are_known_by_name_and_cores_are_measured():
    assert gpu_speed("NVIDIA H100 80GB HBM3") == Speed(
        flops=989e12, bytes_per_second=3350e9, is_gpu=True
    )
    assert gpu_speed("Radeon VII") is None
    core = measure_core(64, 128, seconds=0.01)
    assert core.flops > 1e8
    assert not core.is_gpu


def test_a_machine_whose_speed_is_not_known_has_no_times(tmp_path):
    assert not list(time_rows(rl_7b(), Machine(), published_size("7b", tmp_path)))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.34, "0.3 s"), (45, "45 s"), (720, "12 min"), (16_200, "4.5 h")]
)
def test_seconds_are_for_people(seconds, text):
    assert readable(seconds) == text
