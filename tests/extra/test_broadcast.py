"""Weights broadcast over gloo between real DeepSpeed ranks (ZeRO-3) and real vLLM engines, which are killed and hang.

The groups alone: `tests/long/test_broadcast_groups.py`; over NCCL: the gpu-marked one there. One vLLM engine and updates
that are broken off: `test_broken_off_update.py`.
"""

import os
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest
import ray

from tests.builders import TINY_MODEL, prompt, random_weights
from tests.faults.live_run import engine_core_of, until
from tests.integration import test_rl_end_to_end as end_to_end
from vr1_ray.actors.rollouts.engine_health import HEALTHY
from vr1_ray.actors.rollouts.engine_place import launcher
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import ActorError, wait_for
from vr1_ray.actors.weights import broadcast_transport
from vr1_ray.actors.weights.broadcast_transport import BroadcastTransport
from vr1_ray.config import (
    ClusterConfig,
    EngineHealthConfig,
    ModelConfig,
    RolloutConfig,
    RunConfig,
    TrainerConfig,
)
from vr1_ray.figure_math.dataset import write_dataset
from vr1_ray.types import SamplingSpec, Stage

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1200)]
LIMIT = 600.0
STAGE = Stage(number=1, max_response_tokens=12, group_size=4, steps=1)
SPEC = SamplingSpec(max_response_tokens=12, group_size=4)


class Fleet:
    """Trainer, engines and the broadcasts between them, with what was told to the user."""

    def __init__(self, config):
        self.notes = []
        self.trainers = TrainerGroup(config)
        self.wait(self.trainers.starting(10, None))
        self.engines = EngineSet(
            launcher(config, None),
            limits=config.rollout.health,
            number=2,
            start_seconds=LIMIT,
            call_seconds=config.cluster.step_timeout_seconds,
            note=self.notes.append,
        )
        self.transport = BroadcastTransport(
            self.trainers, backend="gloo", note=self.notes.append, is_hashed=True
        )
        self.engines.wait_until_started()

    def wait(self, pending):
        return wait_for(pending, phase="testing", timeout_seconds=LIMIT)

    def on_ranks(self, function, *arguments):
        """Have all trainer ranks run it."""
        ranks = enumerate(self.trainers.actors)
        return self.wait({str(n): a.__ray_call__.remote(function, *arguments) for n, a in ranks})

    def sync(self, version):
        self.on_ranks(randomize, version)
        self.transport.publish(version)
        self.engines.sync(self.transport)

    def processes(self):
        """Of the trainer's ranks, then of the engines' actors."""
        actors = [*self.trainers.actors, *(engine.actor for engine in self.engines.engines)]
        pending = {
            str(number): actor.__ray_call__.remote(lambda actor: os.getpid())
            for number, actor in enumerate(actors)
        }
        return self.wait(pending)

    def until_all_serve(self):
        deadline = time.monotonic() + LIMIT
        while len(self.engines.serving) < 2:
            assert time.monotonic() < deadline, self.notes
            self.engines.tick()
            time.sleep(0.05)

    def assert_engines_are_alike(self, version):
        """The same samples to the same prompts, with nearly the same log-probabilities."""
        row = prompt(version)
        first, second = self.wait(
            {
                e.name: e.actor.generate_group.remote(row, SPEC, STAGE, 1)
                for e in self.engines.serving
            }
        )
        assert first.policy_version == second.policy_version == version
        for one, other in zip(first.rollouts, second.rollouts, strict=True):
            assert one.response_ids == other.response_ids
            assert one.rollout_logprobs == pytest.approx(other.rollout_logprobs, abs=1e-5)


def randomize(actor, seed):
    """In a trainer rank: other weights, which have no version yet."""
    import deepspeed

    model = actor.trainer.engine.module.model
    with deepspeed.zero.GatheredParameters(list(model.parameters()), modifier_rank=0):
        if actor.rank == 0:
            random_weights(model, seed=seed)
    actor.version = None


def slow_down(actor, seconds):
    """In a trainer rank: take so long over each weight, to leave time for what happens in the middle."""
    weights = type(actor.trainer).named_weights

    def slowly(**how):
        for pair in weights(actor.trainer, **how):
            time.sleep(seconds)
            yield pair

    actor.trainer.named_weights = slowly


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Blocks of 256 KB, so that a broadcast has many."""
    config = RunConfig(
        kind="rl",
        name="broadcast",
        runs_folder=str(tmp_path_factory.mktemp("runs")),
        model=ModelConfig(path=str(TINY_MODEL), max_model_len=256),
        trainer=TrainerConfig(num_workers=2, zero_stage=3, num_cpus_per_worker=0.2, num_threads=1),
        rollout=RolloutConfig(
            num_engines=2,
            num_cpus_per_engine=0.2,
            kv_cache_gib=0.1,
            verify_weights=True,
            weight_transport="gloo",
            health=EngineHealthConfig(
                probe_seconds=1.0, probe_timeout_seconds=10.0, probes_until_dead=2
            ),
        ),
        cluster=ClusterConfig(step_timeout_seconds=120.0),
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(broadcast_transport, "BUCKET_BYTES", 1 << 18)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    fleet = Fleet(config)
    yield fleet
    fleet.engines.close(seconds=0)
    fleet.trainers.release()
    ray.shutdown()
    patch.undo()


def test_two_engines_have_the_version_and_the_same_bytes_after_a_broadcast(fleet):
    fleet.sync(1)
    assert [engine.health.state for engine in fleet.engines.engines] == [HEALTHY, HEALTHY]
    transport = fleet.transport
    assert len(transport.tables) > 10
    assert not transport.checksum.startswith("00000000")
    assert len(transport.policy_hash) == 64
    assert (transport.version, transport.group.epoch, transport.stored) == (1, 1, None)
    fleet.assert_engines_are_alike(1)
    before = transport.checksum
    fleet.sync(2)
    assert transport.checksum != before
    assert transport.group.epoch == 1  # nothing happened to the group
    fleet.assert_engines_are_alike(2)
    assert fleet.notes == []


def test_the_trainer_hands_out_no_other_version_than_it_has(fleet):
    with pytest.raises(ActorError, match=r"^policy version 1 is asked for, .* those of 2"):
        fleet.trainers.hand_out(1, 1 << 18)
    fleet.on_ranks(randomize, 2)
    with pytest.raises(ActorError, match=r"^policy version 2 is asked for, .* of no version yet"):
        fleet.trainers.hand_out(2, 1 << 18)
    fleet.transport.publish(2)


def test_an_engine_killed_between_syncs_takes_the_object_store_and_the_next_sync_has_a_new_group(
    fleet,
):
    os.kill(fleet.processes()[2], signal.SIGKILL)
    until("its loss shows", lambda: fleet.engines.tick() or len(fleet.engines.serving) == 1)
    fleet.until_all_serve()
    assert fleet.notes[-1] == "engine 0 serves again, with policy version 2"
    assert fleet.transport.stored
    fleet.assert_engines_are_alike(2)
    fleet.sync(3)
    assert (fleet.transport.group.epoch, fleet.transport.stored) == (2, None)
    assert len(fleet.engines.serving) == 2
    fleet.assert_engines_are_alike(3)


@pytest.mark.parametrize(
    ("number", "version"), [(signal.SIGKILL, 4), (signal.SIGSTOP, 6)], ids=["killed", "hangs"]
)
def test_an_engine_lost_in_the_middle_takes_neither_the_trainer_nor_the_other_with_it(
    fleet, number, version
):
    before = fleet.processes()
    victim = engine_core_of(psutil.Process(before[3]))
    fleet.on_ranks(randomize, version)
    fleet.transport.publish(version)  # hashes all weights, so that it comes before they are slow
    fleet.on_ranks(slow_down, 0.1)
    timer = threading.Timer(3.0, victim.send_signal, [number])
    timer.start()
    began = time.monotonic()
    fleet.engines.sync(fleet.transport)
    seconds = time.monotonic() - began
    print(f"the sync took {seconds:.1f} s; {fleet.notes[-3:]}")
    assert seconds > 3.0, "it was lost too late to show anything"
    fleet.on_ranks(slow_down, 0.0)
    first, second = fleet.engines.engines
    assert first.health.state == HEALTHY
    assert second.health.state != HEALTHY
    if number == signal.SIGKILL:
        assert any(f"policy version {version} was lost" in note for note in fleet.notes)
    fleet.until_all_serve()
    with suppress(psutil.NoSuchProcess):
        assert victim.status() == psutil.STATUS_ZOMBIE
    assert fleet.processes()[:3] == before[:3]
    assert fleet.processes()[3] != before[3]
    fleet.assert_engines_are_alike(version)

    epoch = fleet.transport.group.epoch
    fleet.sync(version + 1)
    assert fleet.transport.group.epoch == epoch + 1
    fleet.assert_engines_are_alike(version + 1)


def test_ranks_that_replace_lost_ones_form_a_group_of_their_own(fleet):
    os.kill(fleet.processes()[0], signal.SIGKILL)
    epoch = fleet.transport.group.epoch
    fleet.trainers.restart()
    fleet.sync(8)
    assert fleet.transport.group.epoch == epoch + 1
    assert len(fleet.engines.serving) == 2
    fleet.assert_engines_are_alike(8)


def test_a_run_with_broadcasts_trains_the_policy_that_one_through_the_object_store_trains(tmp_path):
    """`vr1 rl` as a user starts it: two vLLM engines, two ranks, PTST; each step's policy by its hash."""
    figures = tmp_path / "figures"
    write_dataset(figures, seed=0, num_train=64, num_validation=8, num_test=8, num_demonstrations=8)
    for name in ("object_store", "gloo"):
        changes = {"rollout.weight_transport": name, "rollout.verify_weights": "true"}
        end_to_end.run(end_to_end.config(tmp_path / name, figures, **changes))
    expected, found = (end_to_end.metrics_of(tmp_path / name) for name in ("object_store", "gloo"))
    for key in (
        "policy_hash",
        "reward/mean",
        "response_tokens/mean",
        "grad_norm",
        "policy_version",
    ):
        assert [row[key] for row in found] == [row[key] for row in expected], key
    weights_a, weights_b = (
        end_to_end.weights_of(tmp_path / one) for one in ("object_store", "gloo")
    )
    assert [name for name in weights_a if not weights_a[name].equal(weights_b[name])] == []
    assert max(row["logprob_diff/max"] for row in found) < 1e-3
