"""A tiny policy learns by GRPO's kin: sampled by the transformers engine, trained by DeepSpeed, synced after each step.

What is rewarded is made up, so that there is something to learn in a few steps: the share of tokens with an odd id.
"""

import asyncio
from dataclasses import replace
from statistics import fmean

import pytest

from tests.processes import in_processes
from tests.unit.training.sample_rows import model_config, trainer_config
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig, OptimizerConfig, RolloutConfig
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.training.reference import ReferencePolicy
from vr1_ray.training.rows import row_to_score, unit_of_group
from vr1_ray.types import Prompt, Rollout, RolloutGroup, SamplingSpec, Stage
from vr1_ray.weights.packing import pack_bucket

NUM_PROMPTS, GROUP_SIZE, STEPS = 2, 8, 4
STAGE = Stage(number=1, max_response_tokens=4, group_size=GROUP_SIZE, steps=STEPS)
SPEC = SamplingSpec(max_response_tokens=4, group_size=GROUP_SIZE)
SETTINGS = [
    {
        "name": "gspo",
        "clip_low": 0.1,
        "clip_high": 0.1,
        "kl_coef": 0.0,
        "loss_aggregation": "sequence_mean",
        "importance_cap": 2.0,
        "importance_level": "sequence",
    },
    {
        "name": "reinforce_plus_plus_baseline",
        "kl_coef": 0.01,
        "kl_in": "reward",
        "kl_estimator": "k1",
    },
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def sampled(engine: HFEngine, step: int) -> list[RolloutGroup]:
    """One group a prompt, scored."""
    groups = []
    for number in range(NUM_PROMPTS):
        prompt = Prompt(prompt_id=str(number), question=f"How many circles are in row {number}?")
        rendered = engine.adapter.render(prompt)
        seeds = [1000 * step + 100 * number + index for index in range(GROUP_SIZE)]
        samples = asyncio.run(engine.generate(prompt.prompt_id, rendered, [], SPEC, seeds))
        rollouts = tuple(
            Rollout(
                index=index,
                attempt=0,
                seed=seeds[index],
                status="truncated",
                response_ids=sample.response_ids,
                text="",
                rollout_logprobs=sample.logprobs,
                reward=fmean(token % 2 for token in sample.response_ids),
            )
            for index, sample in enumerate(samples)
        )
        groups.append(
            RolloutGroup(
                prompt=prompt,
                step=step,
                stage=STAGE,
                policy_version=step - 1,
                prompt_ids=rendered.prompt_ids,
                rollouts=rollouts,
            )
        )
    return groups


def with_reference(groups: list[RolloutGroup], reference: ReferencePolicy) -> list[RolloutGroup]:
    found = []
    for group in groups:
        rows = [row_to_score(group, index, temperature=1.0) for index in range(GROUP_SIZE)]
        scored = zip(group.rollouts, reference.compute_logprobs(rows, {}), strict=True)
        found.append(group.with_rollouts([replace(one, ref_logprobs=ref) for one, ref in scored]))
    return found


def learn(**settings) -> tuple[list[float], list[dict[str, float]]]:
    """Mean reward and metrics of each step, of two updates each."""
    model, trainer_settings = model_config(), trainer_config(optimizer=OptimizerConfig(lr=2e-3))
    algorithm = make_algorithm(AlgorithmConfig(**settings))
    trainer = PolicyTrainer(
        model=model,
        trainer=trainer_settings,
        algorithm=algorithm,
        seed=0,
        total_updates=2 * STEPS,
        rank=0,
        world_size=1,
    )
    reference = ReferencePolicy(model=model, trainer=trainer_settings)
    engine = HFEngine(model=model, rollout=RolloutConfig(num_threads=1), adapter=trainer.adapter)
    asyncio.run(engine.start())
    rewards, metrics = [], []
    for step in range(1, STEPS + 1):
        groups = sampled(engine, step)
        rewards.append(fmean(reward for group in groups for reward in group.rewards_G))
        if algorithm.needs_reference:
            groups = with_reference(groups, reference)
        groups = algorithm.assign_advantages(groups)
        rows = [row for group in groups for row in unit_of_group(group, temperature=1.0)]
        half = len(rows) // 2
        metrics.append(trainer.train_step([rows[:half], rows[half:]], {}))
        asyncio.run(engine.load_weights(step, [pack_bucket(trainer.named_weights())]))
    return rewards, metrics


def learn_each(rank, world_size, folder) -> dict[str, tuple[list[float], list[dict[str, float]]]]:
    return {settings["name"]: learn(**settings) for settings in SETTINGS}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return in_processes(learn_each, 1, tmp_path_factory.mktemp("learnt"))[0]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])
def test_the_policy_earns_more_with_every_few_steps(settings, learnt):
    rewards, metrics = learnt[settings["name"]]
    assert fmean(rewards[1:]) > rewards[0] + 0.15
    if "importance_cap" in settings:
        # In float32 engine and trainer give a token the same probability.
        assert all(one["importance/weight"] == pytest.approx(1.0, abs=0.01) for one in metrics)
    if settings["kl_coef"]:
        assert metrics[-1]["kl"] > metrics[0]["kl"]
