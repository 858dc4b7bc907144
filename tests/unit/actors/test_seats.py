"""The arithmetic of a colocated run's seats, and whose handles each engine gets."""

from vr1_ray.actors.seats import seat_bundle, shared_gpus
from vr1_ray.actors.weights.ipc_transport import IpcTransport
from vr1_ray.config import (
    AlgorithmConfig,
    ReferenceConfig,
    RolloutConfig,
    RunConfig,
    TrainerConfig,
)
from vr1_ray.weights.cuda_ipc import SharedBucket


def config(kl_coef=0.01, gpus=1.0):
    return RunConfig(
        kind="rl",
        trainer=TrainerConfig(
            num_workers=8, num_cpus_per_worker=3, num_gpus_per_worker=gpus, resources={"host": 0.5}
        ),
        rollout=RolloutConfig(num_engines=4, tensor_parallel_size=2, num_cpus_per_engine=4),
        reference=ReferenceConfig(num_actors=8, num_cpus_per_actor=0.5),
        algorithm=AlgorithmConfig(kl_coef=kl_coef),
    )


def test_a_seat_reserves_its_ranks_gpus_once_and_the_cpus_of_all_its_guests():
    # Two ranks of 3 CPUs, an engine of 4, two references of a half.
    assert seat_bundle(config()) == {"CPU": 11, "GPU": 2, "host": 1}
    assert seat_bundle(config(kl_coef=0, gpus=0)) == {"CPU": 10, "host": 1}


def test_an_engine_sees_the_gpus_of_its_seats_ranks_whatever_they_are_called():
    gpus = ["0", "1", "GPU-5f", "3"]
    assert [shared_gpus(gpus, seat, 2) for seat in range(2)] == ["0,1", "GPU-5f,3"]
    assert [shared_gpus(gpus, seat, 1) for seat in range(4)] == gpus
    assert shared_gpus(["", ""], 0, 2) == ""


class Ranks:
    """A trainer group that shares one block on each of its ranks' GPUs."""

    def __init__(self, number):
        self.number, self.asked = number, []

    def share(self, version, *, is_hashed):
        self.asked.append((version, is_hashed))
        table = {"names": ["w"], "dtypes": ["float32"], "shapes": [[2]], "offsets": [0]}
        buckets = [
            [SharedBucket(**table, handles={f"GPU-{rank}": [version, rank]})]
            for rank in range(self.number)
        ]
        return buckets, "hash" if is_hashed else ""


def test_each_engine_gets_the_handles_of_its_own_ranks():
    ranks = Ranks(4)
    transport = IpcTransport(ranks, ranks_per_engine=2, is_hashed=True)
    transport.publish(7)
    assert ranks.asked == [(7, True)]
    assert (transport.version, transport.policy_hash) == (7, "hash")
    handles = [[bucket.handles for bucket in buckets] for buckets in transport.buckets]
    assert handles == [
        [{"GPU-0": [7, 0], "GPU-1": [7, 1]}],
        [{"GPU-2": [7, 2], "GPU-3": [7, 3]}],
    ]
