"""Real pools of real reward actors, groups for them, and all that comes back."""

import time

import ray

from tests.builders import TINY_MODEL, prompt
from vr1_ray.actors.rewards.handing import pack
from vr1_ray.actors.rewards.reward_actor import RewardActor
from vr1_ray.actors.rewards.reward_pool import RewardPool, placement_options
from vr1_ray.config import ModelConfig, RolloutConfig, RunConfig
from vr1_ray.types import Rollout, RolloutGroup, Stage

STAGE = Stage(number=1, max_response_tokens=4, group_size=4, steps=1)


def make_config(folder, rewards, **pools):
    return RunConfig(
        kind="rl",
        name="pool",
        runs_folder=str(folder),
        model=ModelConfig(path=str(TINY_MODEL), max_model_len=256),
        rollout=RolloutConfig(engine="hf"),
        rewards=rewards,
        reward_pools=pools,
    )


def make_pool(config, name="default", note=print, **changes):
    def launch(index):
        options = placement_options(config.reward_pools[name]) | {"num_cpus": 0.1}
        return (
            ray.remote(RewardActor)
            .options(**options)
            .remote(config, name, pack(config.rewards, name, {}), index)
        )

    return RewardPool(
        name, config.reward_pools[name], launch, start_timeout_seconds=240.0, note=note, **changes
    )


def group(seed, size=4):
    rollouts = tuple(
        Rollout(index=i, attempt=0, seed=i, status="finished", response_ids=(1,), text=f"{i}")
        for i in range(size)
    )
    return RolloutGroup(
        prompt=prompt(seed),
        step=1,
        stage=STAGE,
        policy_version=0,
        prompt_ids=(1,),
        rollouts=rollouts,
    )


def submit(pool, groups):
    for one in groups:
        name = one.prompt.prompt_id
        pool.score(
            name, ray.put(one), ray.put(one.prompt), places=(0, 1, 2, 3), where=f"prompt {name}"
        )


def score_all(pool, groups, *, limit=240.0):
    """Outcomes by prompt id and place, each asserted to come once."""
    submit(pool, groups)
    found, deadline = {}, time.monotonic() + limit
    while len(found) < len(groups):
        assert time.monotonic() < deadline
        ready, _ = ray.wait(pool.pending, timeout=0.2)
        for scored in [*(s for ref in ready for s in pool.take(ref)), *pool.expire()]:
            assert scored.key not in found
            found[scored.key] = scored.outcomes
    return found


def stop(pool):
    for actor in pool.actors:
        ray.kill(actor)
