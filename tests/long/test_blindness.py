"""The blindness probe on real policies: the quickstart's, which looks, and one made of it by a few steps on grey pictures.

In an RL run: tests/extra/test_blindness_in_rl.py.
"""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import in_processes
from vr1_ray.algorithms import make_algorithm
from vr1_ray.cli import main
from vr1_ray.config import AlgorithmConfig, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from vr1_ray.data import load_demonstrations
from vr1_ray.data.swapped_pictures import _grey
from vr1_ray.figure_math.dataset import write_dataset
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.training.rows import images_of, unit_of_demonstration
from vr1_ray.types import Demonstration

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/vr1_tiny/model"
STEPS = 40
PROBE = ["--probe", "blindness.num_prompts=16", "blindness.max_response_tokens=48"]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(
        folder, seed=0, num_train=64, num_validation=1, num_test=1, num_demonstrations=400
    )
    return folder


@pytest.fixture(scope="module")
def blind(figures, tmp_path_factory):
    """A cold start of vr1-tiny in the quickstart's format, on the quickstart's demonstrations with grey pictures."""
    folder = tmp_path_factory.mktemp("blind")
    (folder / "figures").symlink_to(figures)
    in_processes(cold_start, 1, folder)
    return folder / "policy"


def with_grey_pictures(demonstration: Demonstration) -> Demonstration:
    prompt = demonstration.prompt
    grey = tuple(_grey(image.shown_size()) for image in prompt.images)
    return replace(demonstration, prompt=replace(prompt, images=grey))


def cold_start(rank: int, world_size: int, folder: str) -> None:
    data = DataConfig(demonstrations=[str(Path(folder) / "figures" / "demonstrations.json")])
    demonstrations = [with_grey_pictures(one) for one in load_demonstrations(data)]
    trainer = PolicyTrainer(
        model=ModelConfig(path=str(MODEL), max_model_len=320),
        trainer=TrainerConfig(
            max_tokens_per_micro_batch=4096,
            optimizer=OptimizerConfig(lr=3.0e-3, schedule="cosine", warmup_ratio=0.05),
        ),
        algorithm=make_algorithm(AlgorithmConfig(), kind="sft"),
        seed=0,
        total_updates=STEPS,
        rank=rank,
        world_size=world_size,
    )
    rng = random.Random(0)
    for _ in range(STEPS):
        batch = rng.sample(demonstrations, 8)
        units = [unit_of_demonstration(one, trainer.adapter) for one in batch]
        rows = [row for unit in units for row in unit]
        trainer.train_step([rows], images_of([one.prompt for one in batch], units))
    trainer.save_policy(Path(folder) / "policy")


def config_of(folder: Path, figures: Path, policy: Path) -> str:
    path = folder / "run.yaml"
    path.write_text(f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: 4
allow_base_policy: true
model: {{path: {policy}, max_model_len: 320}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer: {{num_cpus_per_worker: 0.2, max_tokens_per_micro_batch: 2048, optimizer: {{lr: 1.0e-3}}}}
rollout: {{engine: hf, num_cpus_per_engine: 0.2}}
reward_pools: {{default: {{num_actors: 1, num_cpus_per_actor: 0.1}}}}
rewards: [{{name: soft_format_result}}]
algorithm: {{kl_coef: 0.0}}
curriculum:
  stages: [{{max_response_tokens: 12, group_size: 2, steps: 1}}, {{max_response_tokens: 24, group_size: 2, steps: 1}}]
cluster: {{address: local, num_cpus: 2, step_timeout_seconds: 200}}
""")
    return str(path)


def test_the_policy_that_sees_needs_its_pictures(figures, tmp_path, capsys):
    code = main(["check", config_of(tmp_path, figures, MODEL), *PROBE])
    [line] = probe_lines(capsys)
    assert code == 0, line
    assert share_in(line) >= 50, line


def test_one_that_learnt_from_grey_pictures_does_not_look_and_is_alarmed(
    blind, figures, tmp_path, capsys
):
    code = main(["check", config_of(tmp_path, figures, blind), *PROBE])
    found = probe_lines(capsys)
    assert len(found) == 2, found
    line, alarm = found
    assert code == 1
    assert share_in(line) <= 12, line
    assert "the policy does not look at its pictures" in alarm


def probe_lines(capsys) -> list[str]:
    """The probe's row, and its alarm if there is one."""
    return [line for line in capsys.readouterr().out.splitlines() if "blindness probe" in line]


def share_in(line: str) -> int:
    """Per cent of the questions that need their picture."""
    return int(line.split("blindness probe")[1].split("%")[0])
