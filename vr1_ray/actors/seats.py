"""Seats of a colocated run: for each engine a bundle of GPUs, which it shares with its trainer ranks and references.

The trainer's ranks reserve the GPUs; engines and references are their guests. Ray gives a guest CPUs in the same
bundle and no GPU, and the guest is told which GPUs the ranks there got. So each GPU is counted once, engines with
tensor parallelism need no fractions, and because a bundle never spans nodes their GPUs are always on one.
"""

from typing import Any

from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.config import RunConfig


def seat_bundle(config: RunConfig) -> dict[str, float]:
    """What one seat reserves: its trainer ranks whole, and the CPUs of their guests."""
    trainer, rollout, reference = config.trainer, config.rollout, config.reference
    ranks = rollout.tensor_parallel_size
    cpus = ranks * trainer.num_cpus_per_worker + rollout.num_cpus_per_engine
    if config.algorithm.kl_coef > 0:
        cpus += ranks * reference.num_cpus_per_actor
    resources = {name: ranks * amount for name, amount in trainer.resources.items()}
    wanted = {"CPU": cpus, "GPU": ranks * trainer.num_gpus_per_worker, **resources}
    return {name: amount for name, amount in wanted.items() if amount}


class Seats:
    """One placement group for the whole run: a seat an engine. It outlives trainer ranks that are replaced.

    Example:
        seats = Seats(config)
        remote.options(num_gpus=1, **seats.of_rank(5)).remote(...)      # a trainer rank
        seats.gpus = ["0", "1", "2", "3", "4", "5", "6", "7"]           # what each rank got
        remote.options(num_gpus=0, **seats.of_engine(2)).remote(..., seats.gpus_of_engine(2))
    """

    def __init__(self, config: RunConfig) -> None:
        self.ranks = config.rollout.tensor_parallel_size  # of one seat
        number = config.rollout.num_engines
        self.group = placement_group(
            [seat_bundle(config)] * number,
            strategy="PACK",
            bundle_label_selector=[dict(config.trainer.label_selector)] * number,
        )
        self.gpus: list[str] = []  # by rank, as CUDA_VISIBLE_DEVICES names them; "" without GPUs

    def of_engine(self, index: int) -> dict[str, Any]:
        """Where an engine runs, as options of a Ray actor."""
        strategy = PlacementGroupSchedulingStrategy(
            placement_group=self.group, placement_group_bundle_index=index
        )
        return {"scheduling_strategy": strategy}

    def of_rank(self, rank: int) -> dict[str, Any]:
        """Where a trainer rank runs, and the reference actor beside it."""
        return self.of_engine(rank // self.ranks)

    def gpus_of_rank(self, rank: int) -> str:
        """CUDA_VISIBLE_DEVICES of a guest of one rank."""
        return self.gpus[rank]

    def gpus_of_engine(self, index: int) -> str:
        """CUDA_VISIBLE_DEVICES of an engine: the GPUs of all ranks of its seat."""
        return shared_gpus(self.gpus, index, self.ranks)

    def give_back(self) -> None:
        """Free the seats, and end whoever is in them."""
        remove_placement_group(self.group)


def shared_gpus(gpus: list[str], seat: int, ranks: int) -> str:
    """The GPUs of a seat's ranks, as CUDA_VISIBLE_DEVICES wants them; "" without GPUs.

    Example:
        shared_gpus(["0", "1", "2", "3"], seat=1, ranks=2)  # "2,3"
    """
    return ",".join(one for one in gpus[seat * ranks : (seat + 1) * ranks] if one)
