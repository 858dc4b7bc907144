"""Weight transport by a broadcast (nccl or gloo): every engine that is there at a sync receives the same bytes at once.

The group is trainer rank 0 and the workers of those engines. It is kept from sync to sync, and formed anew at a sync
before which anything happened to it: an engine joined, left, or is another process now, the trainer was restarted, or
a broadcast was lost. What can't wait for a sync goes through the object store: an engine that joins between two, and
those that were left with half of the weights when another was lost. `weights/broadcast.py` has the calls.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ray

from vr1_ray.actors.rollouts.engine import Engine
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import ActorError, take
from vr1_ray.actors.weights.weight_sync import BUCKET_BYTES, WeightTransport
from vr1_ray.weights.broadcast import Backend, BroadcastBucket, BroadcastGroup

ANSWER_SECONDS = 10.0  # for an idle engine to say that it is there


class BroadcastTransport(WeightTransport):
    """A broadcast at each sync, and the object store, filled on demand, for whoever misses it."""

    def __init__(
        self,
        trainers: TrainerGroup,
        *,
        backend: Backend,
        note: Callable[[str], None],
        is_hashed: bool = False,
    ) -> None:
        super().__init__(trainers, is_hashed=is_hashed)
        self.backend, self.note = backend, note
        # Actors of the group, rank 0 first; none if it can't be used again.
        self.members: list[Any] = []
        self.group: BroadcastGroup | None = None
        self.tables: list[dict[str, Any]] = []  # of the buckets; the same at every sync
        self.stored: list[Any] | None = None  # object refs of the published version

    def publish(self, version: int) -> None:
        self.policy_hash = self.trainers.hold(version, is_hashed=self.is_hashed)
        self.version, self.stored = version, None

    def load(self, engine: Engine) -> Any:
        """Through the object store, while the trainer still has the version's weights."""
        assert engine.actor is not None
        self.members = []
        if self.stored is None:
            self.stored = self.trainers.hand_out(self.version, BUCKET_BYTES)
        return engine.actor.load_weights.remote(self.version, self.stored)

    def load_all(self, engines: Sequence[Engine]) -> list[Any]:
        """Broadcast to all that answer; returns when the trainer has done its part.

        Raises TrainerLostError if a trainer rank is gone. The loss of an engine ends the broadcast alone.
        """
        calls, present = self._ask(engines)
        if present:
            if self.members != self._members(present):
                self._form(present)
            calls |= self._receive(present)
            lost = self.trainers.broadcast(self.version, BUCKET_BYTES)
            if lost:
                self.members = []
                self.note(
                    f"the broadcast of policy version {self.version} was lost; engines that did not get all of it "
                    f"take it from the object store ({lost.splitlines()[0]})"
                )
        return [calls[e.index] if e.index in calls else self.load(e) for e in engines]

    def _ask(self, engines: Sequence[Engine]) -> tuple[dict[int, Any], list[Engine]]:
        """Those that are there; and of those that are not, the call that tells why. One that is late is in neither."""
        probes = [engine.actor.probe.remote() for engine in engines]
        ready = ray.wait(probes, num_returns=len(probes), timeout=ANSWER_SECONDS)[0]
        failed, present = {}, []
        for engine, probe in zip(engines, probes, strict=True):
            if probe not in ready:
                continue
            try:
                take(probe, actor=engine.name, phase="answering before a broadcast")
            except ActorError:
                failed[engine.index] = probe
            else:
                present.append(engine)
        return failed, present

    def _members(self, engines: Sequence[Engine]) -> list[Any]:
        return [self.trainers.actors[0], *(engine.actor for engine in engines)]

    def _form(self, engines: Sequence[Engine]) -> None:
        """Open the rendezvous of a new group; its members meet there when the broadcast begins."""
        if not self.tables:
            self.tables = self.trainers.bucket_tables(BUCKET_BYTES)
        epoch = self.group.epoch + 1 if self.group else 1
        world_size = 1 + sum(engine.size for engine in engines)
        nodes = [engine.node for engine in engines]
        self.group = self.trainers.open_group(epoch, self.backend, world_size, nodes)
        self.members = self._members(engines)

    def _receive(self, engines: Sequence[Engine]) -> dict[int, Any]:
        assert self.group is not None
        calls, rank = {}, 1
        for engine in engines:
            group = replace(self.group, first_rank=rank)
            buckets = [BroadcastBucket(**table, group=group) for table in self.tables]
            calls[engine.index] = engine.actor.load_weights.remote(self.version, buckets)
            rank += engine.size
        return calls
