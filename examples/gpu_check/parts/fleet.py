"""Trainers and engines as the actors of a run: turns on shared GPUs, every way weights travel, and a killed engine.

After each sync the engines sample and the trainer scores what they sampled: what arrived is what was sent.
"""

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from typing import Any

from examples.gpu_check.bench import Bench, CheckFailedError, NotPossibleError
from examples.gpu_check.fleets import (
    collect,
    disagreement,
    fleet_config,
    running,
    timed_sync,
    train,
    used_gib,
)
from examples.gpu_check.models import SHAPES, make_prompts, random_model
from examples.gpu_check.parts.engine import SAME_ON_GPU, START_TOKENS
from examples.gpu_check.scoring import LIMITS, require_close
from vr1_ray.actors.fleet import Fleet
from vr1_ray.actors.rollouts.colocation import put_to_sleep
from vr1_ray.actors.waiting import wait_for
from vr1_ray.actors.weights.ipc_transport import IpcTransport
from vr1_ray.actors.weights.weight_sync import ObjectStoreTransport
from vr1_ray.config import ModelConfig, RunConfig
from vr1_ray.types import RolloutGroup, Stage

GIVEN_BACK = (
    0.8  # of what an engine may use, while it sleeps; its graphs and CUDA's own memory stay
)
WAKES_WITHIN = 2.0  # GiB of what it used before
KILL_AFTER = 0.5  # seconds of sampling


def check(bench: Bench) -> None:
    """All rows of the part `fleet`, with one fleet."""
    turns = Turns(bench)
    transport = "ipc" if bench.is_gpu and bench.engine == "vllm" else "object_store"
    config = fleet_config(
        bench, "fleet", turns.model, turns.stage, rollout={"weight_transport": transport}
    )
    with ExitStack() as stack:
        with bench.row("fleet_starts", is_vital=True) as figures:
            turns.fleet = stack.enter_context(running(config, turns.notes))
            turns.fleet.transport = ObjectStoreTransport(
                turns.fleet.trainers
            )  # IPC has its own row
            figures |= {"engines": config.rollout.num_engines, "engine": bench.engine}
            figures["ranks"] = config.trainer.num_workers
        with bench.row("sleep", is_vital=True) as figures:
            _sleep(bench, turns, config, figures)
        with bench.row("sync_object_store") as figures:
            turns.sync(ObjectStoreTransport(turns.fleet.trainers), figures)
        with bench.row("sync_ipc") as figures:
            _ipc(bench, turns, transport, figures)
        with bench.row("kill") as figures:
            _kill(bench, turns, figures)


def check_broadcast(bench: Bench) -> None:
    """The row `sync_nccl`: one trainer, engines on the other GPUs."""
    turns = Turns(bench)
    with bench.row("sync_nccl") as figures:
        backend = bench.pick(cpu="gloo", gpu="nccl")
        config = fleet_config(
            bench,
            "broadcast",
            turns.model,
            turns.stage,
            is_shared=False,
            rollout={"weight_transport": backend},
        )
        figures |= {"backend": backend, "engines": config.rollout.num_engines}
        with running(config, turns.notes) as turns.fleet:
            turns.learn()
            turns.sync(turns.fleet.transport, figures)
            if any("was lost" in note for note in turns.notes):
                raise CheckFailedError(f"the broadcast was lost: {turns.notes[-1]}")


class Turns:
    """A fleet and where it stands: step, policy version, prompts."""

    def __init__(self, bench: Bench) -> None:
        shape = SHAPES[bench.pick(cpu="tiny", gpu="small")]
        folder = random_model(bench.folder / "model", shape, dtype=bench.dtype, device=bench.device)
        self.dtype = bench.dtype
        self.model = ModelConfig(
            path=str(folder),
            dtype=bench.dtype,
            min_pixels=bench.pick(cpu=784, gpu=200_704),
            max_model_len=bench.pick(cpu=256, gpu=2048),
        )
        self.stage = Stage(
            number=1,
            max_response_tokens=bench.pick_sampled(few=16, many=512),
            group_size=4,
            steps=20,
        )
        self.prompts = make_prompts(bench.pick_sampled(few=2, many=16) * bench.gpus)
        self.notes: list[str] = []
        self.step = self.version = 0
        self.fleet: Any = None

    def learn(self) -> list[RolloutGroup]:
        """Sample and train: the trainer has other weights than the engines then."""
        self.step += 1
        groups = collect(self.fleet, self.prompts, self.stage, self.step)
        if {group.policy_version for group in groups} != {self.version}:
            raise CheckFailedError(f"groups are not all of policy version {self.version}")
        self.metrics = train(self.fleet, groups)
        return groups

    def sync(self, transport: Any, figures: dict[str, Any]) -> None:
        """Bring the trainer's weights to the engines, sample with them, and compare; another update follows."""
        self.fleet.transport = transport
        self.version += 1
        figures["seconds"] = timed_sync(self.fleet, self.version)
        figures["checksum"] = str(transport.checksum)[:17]
        self.learn()
        figures |= disagreement(self.metrics)
        require_close(figures, LIMITS[self.dtype])


def _sleep(bench: Bench, turns: Turns, config: RunConfig, figures: dict[str, Any]) -> None:
    fleet: Fleet = turns.fleet
    turns.step += 1
    groups = collect(fleet, turns.prompts, turns.stage, turns.step)
    awake = used_gib()
    assert fleet.engines is not None
    began = time.monotonic()
    put_to_sleep(fleet.engines)
    figures["sleep_seconds"], asleep = time.monotonic() - began, used_gib()
    train(fleet, groups)
    trained = used_gib()
    turns.version += 1
    figures["wake_seconds"] = timed_sync(fleet, turns.version)
    woken = used_gib()
    if bench.is_gpu:
        figures |= {
            "awake_gib": awake,
            "asleep_gib": asleep,
            "trained_gib": trained,
            "woken_gib": woken,
        }
    turns.learn()
    figures |= disagreement(turns.metrics)
    require_close(figures, LIMITS[turns.dtype])
    if not bench.is_gpu or bench.engine != "vllm":
        return  # the transformers engine gives back its weights, which are little
    share = config.rollout.gpu_memory_utilization * bench.gib
    if awake - asleep < GIVEN_BACK * share - 4.0:
        raise CheckFailedError(
            f"asleep it gave {awake - asleep:.1f} GiB back of the {share:.1f} it may use"
        )
    if abs(woken - awake) > WAKES_WITHIN + (trained - asleep):
        raise CheckFailedError(f"awake again {woken:.1f} GiB are in use, before {awake:.1f}")


def _ipc(bench: Bench, turns: Turns, transport: str, figures: dict[str, Any]) -> None:
    if transport != "ipc":
        raise NotPossibleError("CUDA IPC needs a GPU and vLLM")
    fleet = turns.fleet
    turns.sync(IpcTransport(fleet.trainers, ranks_per_engine=1), figures)
    # The trainer has new weights now: the same once more by IPC and through the object store.
    held = []
    for way in (
        IpcTransport(fleet.trainers, ranks_per_engine=1),
        ObjectStoreTransport(fleet.trainers),
    ):
        fleet.transport = way
        turns.version += 1
        fleet.sync_weights(turns.version)
        held.append(str(way.checksum).split("-", 1)[1])  # what engines hold, without what came
    if held[0] != held[1]:
        raise CheckFailedError(
            "the same weights by IPC and through the object store differ on the engine"
        )
    turns.learn()


def _kill(bench: Bench, turns: Turns, figures: dict[str, Any]) -> None:
    """Kill the process that samples, let the run mend itself, and draw the same step again."""
    fleet: Fleet = turns.fleet
    fleet.transport = ObjectStoreTransport(fleet.trainers)  # type: ignore[arg-type]
    turns.version += 1
    fleet.sync_weights(turns.version)
    assert fleet.engines is not None
    engine = fleet.engines.serving[0]
    asked = {engine.name: engine.actor.__ray_call__.remote(_process_id)}
    [actor] = wait_for(asked, phase="asking for its process", timeout_seconds=30.0)
    prompts = turns.prompts * 2 if len(turns.prompts) < 8 else turns.prompts
    turns.step += 1
    fleet.submit(prompts, turns.stage, turns.step)
    time.sleep(bench.pick(cpu=0.05, gpu=KILL_AFTER))
    os.kill(_engine_core(actor), signal.SIGKILL)
    began = time.monotonic()
    groups = fleet.collect(turns.step)
    figures |= {"groups": len(groups), "collected_seconds": time.monotonic() - began}
    figures["regenerated"] = fleet.rollout_metrics().get("engines/regenerated_groups", 0.0)
    wanted = len(fleet.engines.wanted)
    # If it had sampled all before, its death shows at the next probe.
    while fleet.engines.num_restarts == 0 or len(fleet.engines.serving) < wanted:
        if time.monotonic() - began > bench.seconds / 2:
            raise CheckFailedError(
                f"no engine serves again after {bench.seconds / 2:.0f} s: {turns.notes[-2:]}"
            )
        fleet.engines.tick()
        time.sleep(0.1)
    figures |= {
        "back_after_seconds": time.monotonic() - began,
        "restarts": fleet.engines.num_restarts,
    }
    if any(len(group.rollouts) != turns.stage.group_size for group in groups):
        raise CheckFailedError("a group lost responses with its engine")
    again = collect(fleet, prompts, turns.stage, turns.step)
    figures["same_start"] = same = _same_start(groups, again)
    if same < bench.pick(cpu=1.0, gpu=SAME_ON_GPU):
        raise CheckFailedError(
            f"only {same:.0%} of the responses are what the same seeds give again"
        )
    train(fleet, again)


def _process_id(actor: Any) -> int:
    return os.getpid()


def _engine_core(actor: int) -> int:
    """The process in which vLLM samples, below an actor's; the actor's own for another engine."""
    listing = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, timeout=30, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    below, found = {actor}, actor
    for _ in range(4):  # however deep
        below |= {int(row[0]) for row in rows if int(row[1]) in below}
    for row in rows:
        if int(row[0]) in below and "EngineCore" in row[2]:
            found = int(row[0])
    return found


def _same_start(first: list[RolloutGroup], second: list[RolloutGroup]) -> float:
    """Share of responses whose first tokens are the same."""
    pairs = [
        (one.response_ids[:START_TOKENS], other.response_ids[:START_TOKENS])
        for a, b in zip(first, second, strict=True)
        for one, other in zip(a.rollouts, b.rollouts, strict=True)
    ]
    return sum(one == other for one, other in pairs) / len(pairs)
