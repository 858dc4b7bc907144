"""The reward pools of a run: one for each that its rewards name."""

from collections.abc import Callable
from functools import partial

import ray

from vr1_ray.actors.rewards.handing import pack
from vr1_ray.actors.rewards.reward_actor import RewardActor
from vr1_ray.actors.rewards.reward_pool import RewardPool, placement_options
from vr1_ray.config import RunConfig
from vr1_ray.config.objects import Objects


def make_reward_pools(
    config: RunConfig, objects: Objects, *, note: Callable[[str], None]
) -> list[RewardPool]:
    """Pools whose actors are yet to be started; `objects` are the rewards that Python handed over."""
    pools = []
    for name in dict.fromkeys(spec.pool for spec in config.rewards):
        pool = config.reward_pools[name]
        remote = ray.remote(RewardActor).options(**placement_options(pool))
        packed = pack(config.rewards, name, objects)
        pools.append(
            RewardPool(
                name,
                pool,
                partial(remote.remote, config, name, packed),
                rewards=[spec.name for spec in config.rewards if spec.pool == name],
                start_timeout_seconds=config.cluster.start_timeout_seconds,
                note=note,
            )
        )
    return pools
