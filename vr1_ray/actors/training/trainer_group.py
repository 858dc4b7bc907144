"""The trainer's ranks as one: rendezvous, dealing rows, checkpoints, and what it means to lose a rank.

A process group can't be mended: when one rank dies or hangs, all of them are replaced (`restart`), and the
loop goes back to its last checkpoint (`runs/recovery.py`). A rank that raises is another thing: its cause
would come again, so it ends the run.
"""

import uuid
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from vr1_ray.actors.seats import Seats
from vr1_ray.actors.training.trainer_actor import TrainerActor
from vr1_ray.actors.waiting import (
    ActorError,
    ActorLostError,
    ActorTimeoutError,
    put,
    take,
    wait_for,
)
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.training.dealing import balance, deal, with_shares
from vr1_ray.training.distributed import LOOPBACK, PeerLostError
from vr1_ray.training.rows import Unit, images_of
from vr1_ray.types import Prompt
from vr1_ray.weights.broadcast import Backend, BroadcastGroup
from vr1_ray.weights.cuda_ipc import SharedBucket

SEARCH_SECONDS = 10.0  # for the rank whose loss the others have told


class TrainerLostError(ActorError):
    """A trainer rank died or hangs: the group is lost. `actor`, `phase` and `step` say who, when and where."""

    def __init__(self, actor: str, phase: str, step: int, cause: str) -> None:
        super().__init__(f"{actor} {cause}, while {phase} in step {step}")
        self.actor, self.phase, self.step = actor, phase, step


class TrainerGroup:
    """N trainer actors, one a rank, in one placement group (packed: ranks talk a lot).

    In a colocated run that group is the seats', which hold engines and references too.
    """

    def __init__(
        self, config: RunConfig, seats: Seats | None = None, *, note: Callable[[str], None] = print
    ) -> None:
        self.config = config
        self.note = note  # tells the user
        self.seats = seats
        self.timeout = config.cluster.step_timeout_seconds
        self.start_timeout = config.cluster.start_timeout_seconds
        self.step = 0  # the step it works at, for messages
        self._launch()

    def _launch(self) -> None:
        trainer = self.config.trainer
        self.placement = self.seats.group if self.seats else self._own_placement()
        wait_for(
            {"trainer placement": self.placement.ready()},
            phase="reserving the trainer's CPUs and GPUs",
            timeout_seconds=self.start_timeout,
        )
        self.actors: list[Any] = [
            ray.remote(TrainerActor)
            .options(
                num_cpus=trainer.num_cpus_per_worker,
                num_gpus=trainer.num_gpus_per_worker,
                resources=dict(trainer.resources),
                **self._place(rank),
            )
            .remote(self.config, rank)
            for rank in range(trainer.num_workers)
        ]

    def _own_placement(self) -> PlacementGroup:
        trainer = self.config.trainer
        bundle = {"CPU": trainer.num_cpus_per_worker}
        if trainer.num_gpus_per_worker:
            bundle["GPU"] = trainer.num_gpus_per_worker
        return placement_group(
            [bundle | trainer.resources] * trainer.num_workers,
            strategy="PACK",
            bundle_label_selector=[dict(trainer.label_selector)] * trainer.num_workers,
        )

    def _place(self, rank: int) -> dict[str, Any]:
        if self.seats:
            return self.seats.of_rank(rank)
        strategy = PlacementGroupSchedulingStrategy(
            placement_group=self.placement, placement_group_bundle_index=rank
        )
        return {"scheduling_strategy": strategy}

    def starting(self, total_updates: int, model_path: str | None) -> dict[str, Any]:
        """Begin loading on every rank; returns the refs to wait for.

        Raises ConfigError if a rank's node does not see the run folder.
        """
        self._start_arguments = (total_updates, model_path)
        addresses = self._check_run_folder()
        if self.seats:
            phase = "looking for the trainer's GPUs"
            self.seats.gpus = self._all("visible_gpus", phase=phase, timeout=self.start_timeout)
        # NCCL keeps the interface it begins with, and the engines of its broadcasts may be on other nodes.
        is_local = len(set(addresses)) == 1 and self.config.rollout.weight_transport != "nccl"
        address = LOOPBACK if is_local else addresses[0]
        port = self._wait(
            {"trainer 0": self.actors[0].listen.remote(address)},
            phase="opening the rendezvous",
            timeout=self.start_timeout,
        )[0]
        return {
            f"trainer {rank}": actor.start.remote(address, port, total_updates, model_path)
            for rank, actor in enumerate(self.actors)
        }

    def _check_run_folder(self) -> list[str]:
        """Have every rank read a file that was just written here; returns the addresses of their nodes."""
        folder = self.config.folder
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / f".seen_by_all_{uuid.uuid4().hex}"
        token.write_text(token.name, encoding="utf-8")
        try:
            answers = self._all(
                "look", str(token), phase="looking for the run folder", timeout=self.start_timeout
            )
        finally:
            token.unlink()
        blind = [address for address, found in answers if found != token.name]
        if blind:
            raise ConfigError(
                f"runs_folder: {folder} on this machine is another folder on trainer node {blind[0]}; checkpoints "
                "need one POSIX path that the driver and all trainer nodes see: give one on a shared file system"
            )
        return [address for address, _ in answers]

    def restart(self) -> None:
        """Replace every rank by a new one with the start weights. Raises TrainerLostError if one is lost again."""
        self.release()
        self._launch()
        starting = self.starting(*self._start_arguments)
        self._wait(starting, phase="starting the trainer again", timeout=self.start_timeout)

    def describe(self) -> str:
        """How the ranks learn, in one line: ZeRO stage, precision, attention."""
        call = self.actors[0].describe.remote()
        return self._wait({"trainer 0": call}, phase="asking how it learns")[0]

    def train_step(
        self, units: list[Unit], prompts: list[Prompt], *, step: int
    ) -> dict[str, float]:
        """Deal the units over ranks and mini-batches, train, and return the metrics (equal on all ranks)."""
        self.step = step
        parts = self.config.trainer.mini_batches_per_step if self.config.kind == "rl" else 1
        dealt = deal(units, num_ranks=len(self.actors), num_mini_batches=parts)
        pending = {}
        for rank, actor in enumerate(self.actors):
            rows = [list(chain.from_iterable(mini_batch)) for mini_batch in dealt[rank]]
            images = images_of(prompts, list(chain.from_iterable(dealt[rank])))
            stored = put(rows, what="rows to train on"), put(images, what="their pictures")
            pending[f"trainer {rank}"] = actor.train_step.remote(*stored)
        metrics, alarms = self._wait(pending, phase="training")[0]
        for alarm in alarms:
            self.note(f"ALARM step {step}: {alarm}")
        return with_shares(metrics, units)

    def compute_logprobs(
        self, units: list[Unit], prompts: list[Prompt]
    ) -> dict[str, tuple[float, ...]]:
        """The policy's log-probabilities of each row's response, by row id. Nothing of the training changes."""
        pending = {}
        for rank, part in enumerate(balance(units, len(self.actors))):
            rows = put([row for unit in part for row in unit], what="rows to score")
            images = put(images_of(prompts, part), what="their pictures")
            pending[f"trainer {rank}"] = self.actors[rank].compute_logprobs.remote(rows, images)
        answers = self._wait(pending, phase="computing log-probabilities")
        return {row_id: found for answer in answers for row_id, found in answer.items()}

    def publish(
        self, version: int, bucket_bytes: int, *, is_hashed: bool = False
    ) -> tuple[list[Any], str]:
        """Object refs of the weights as packed buckets, and their hash if asked for.

        All ranks take part; the buckets belong to rank 0 and are lost with it.
        """
        phase = f"publishing version {version}"
        return self._all("publish", bucket_bytes, is_hashed, phase=phase)[0]

    def share(
        self, version: int, *, is_hashed: bool = False
    ) -> tuple[list[list[SharedBucket]], str]:
        """The weights as handles of each rank's GPU memory, by rank, and their hash if asked for."""
        answers = self._all("share", is_hashed, phase=f"publishing version {version}")
        return [buckets for buckets, _ in answers], answers[0][1]

    def hold(self, version: int, *, is_hashed: bool = False) -> str:
        """Give the present weights a version, until they change; their hash if asked for."""
        return self._all("hold", version, is_hashed, phase=f"publishing version {version}")[0]

    def hand_out(self, version: int, bucket_bytes: int) -> list[Any]:
        """Object refs of the weights of the version held, as packed buckets. Raises ActorError if it is another."""
        phase = f"handing out version {version}"
        return self._all("hand_out", version, bucket_bytes, phase=phase)[0]

    def bucket_tables(self, bucket_bytes: int) -> list[dict[str, Any]]:
        """For each bucket that `broadcast` sends: its table, and its bytes as `num_bytes`."""
        call = self.actors[0].bucket_tables.remote(bucket_bytes)
        return self._wait({"trainer 0": call}, phase="listing the weights")[0]

    def open_group(
        self, epoch: int, backend: Backend, world_size: int, nodes: list[str]
    ) -> BroadcastGroup:
        """Let rank 0 open the rendezvous of a group with engines on `nodes` (ids)."""
        call = self.actors[0].open_group.remote(epoch, backend, world_size, nodes)
        return self._wait({"trainer 0": call}, phase="opening a group for broadcasts")[0]

    def broadcast(self, version: int, bucket_bytes: int) -> str:
        """Send the weights of the version held to that group, all ranks taking part; how it was lost, or ""."""
        phase = f"broadcasting version {version}"
        return self._all("broadcast", version, bucket_bytes, phase=phase)[0]

    def save_checkpoint(self, folder: Path) -> None:
        """Write every rank's state. Raises ActorError if one can't; all of them are sound then."""
        self._all("save_checkpoint", str(folder.absolute()), phase="saving the trainer's state")

    def load_checkpoint(self, folder: Path) -> None:
        """Restore what `save_checkpoint` wrote."""
        self._all("load_checkpoint", str(folder.absolute()), phase="loading the trainer's state")

    def save_policy(self, folder: Path) -> None:
        """Write the policy as a Hugging Face folder."""
        self._all("save_policy", str(folder.absolute()), phase="saving the policy")

    def check(self, phase: str) -> None:
        """Raise TrainerLostError if a rank is gone: what it published is gone with it."""
        self._all("ping", phase=phase)

    def release(self) -> None:
        """End the ranks and give their place back; seats stay, for they have guests."""
        for actor in self.actors:
            ray.kill(actor)
        if self.seats is None:
            remove_placement_group(self.placement)

    def _all(
        self, method: str, *arguments: Any, phase: str, timeout: float | None = None
    ) -> list[Any]:
        pending = {
            f"trainer {rank}": getattr(actor, method).remote(*arguments)
            for rank, actor in enumerate(self.actors)
        }
        return self._wait(pending, phase=phase, timeout=timeout)

    def _wait(
        self, pending: Mapping[str, Any], *, phase: str, timeout: float | None = None
    ) -> list[Any]:
        """The ranks' results. Raises TrainerLostError for a rank that died or hangs, ActorError for one that raised.
        Without a `timeout` of its own (only starts may be far apart) a call ends on all ranks at about the same time.
        """
        apart = float("inf") if timeout else self.config.trainer.collective_timeout_seconds
        try:
            return wait_for(
                pending, phase=phase, timeout_seconds=timeout or self.timeout, apart_seconds=apart
            )
        except ActorError as error:
            lost = self._lost_rank(pending, error)
            if lost is None:
                raise
            raise TrainerLostError(lost[0], phase, self.step, lost[1]) from error

    def _lost_rank(self, pending: Mapping[str, Any], error: ActorError) -> tuple[str, str] | None:
        """Which rank is lost and how; None if all are there, and one of them raised."""
        is_told = isinstance(getattr(error.__cause__, "cause", None), PeerLostError)
        refs = list(pending.values())
        # A rank may tell that another is gone before Ray does; and one that raised leaves the others waiting.
        ray.wait(refs, num_returns=len(refs), timeout=SEARCH_SECONDS, fetch_local=False)
        silent = []
        for name, ref in pending.items():
            if not ray.wait([ref], timeout=0, fetch_local=False)[0]:
                silent.append(name)
                continue
            try:
                take(ref, actor=name, phase="")
            except ActorLostError as loss:
                return name, loss.how
            except ActorError:
                continue  # it raised, so it is there; `error` already holds the first such cause
        if silent and (is_told or isinstance(error, ActorTimeoutError)):
            return ", ".join(silent), "did not answer in time"
        return ("a trainer rank", "lost its connection to the others") if is_told else None
