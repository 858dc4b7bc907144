"""Joining or starting a Ray cluster, and what it must have before any actor starts: room, and sight of the pictures."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from vr1_ray.actors.own_session import own_session
from vr1_ray.actors.process import namespace
from vr1_ray.actors.waiting import ActorError, wait_for
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.config.demand import demand
from vr1_ray.data.stored import sample_files, unlike_here
from vr1_ray.types import Prompt, held_here

SIGHT_SECONDS = 120.0
LOOK_SECONDS = 1.0  # at least, between two looks for nodes that joined
START_ATTEMPTS = 3  # a busy machine can miss the time Ray gives its own processes to start


def connect(config: RunConfig) -> None:
    """Join the cluster at `cluster.address` (or RAY_ADDRESS), or start a local one; check that the run fits.

    Raises ConfigError naming the field if the run asks for more CPUs or GPUs than the cluster has.
    """
    if not ray.is_initialized():
        address = config.cluster.address or os.environ.get("RAY_ADDRESS") or "local"
        # A dashboard would be one more process on a laptop; a joined cluster has its own.
        own: dict[str, Any] = {
            "include_dashboard": False,
            "num_cpus": config.cluster.num_cpus or None,
        }
        for attempt in range(START_ATTEMPTS):
            try:
                with own_session() if address == "local" else nullcontext():
                    ray.init(
                        address=address,
                        namespace=namespace(config),
                        log_to_driver=False,  # actors write to files in the run folder instead
                        logging_level=logging.ERROR,
                        **(own if address == "local" else {}),
                    )
                break
            except Exception as error:  # Ray raises bare Exception when its node does not come up
                ray.shutdown()
                if attempt + 1 == START_ATTEMPTS:
                    raise ActorError(
                        f"cluster.address: {address}: Ray could not be joined or started: {error}"
                    ) from error
    _check_resources(config)


@contextmanager
def left_as_found() -> Iterator[None]:
    """After this block Ray is as it was before: one that a run started in it is shut down with it."""
    was_there = ray.is_initialized()
    try:
        yield
    finally:
        if not was_there:
            ray.shutdown()


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """The config as actors get it: they may run in another folder than the driver."""
    model = config.model
    if Path(model.path).exists():  # else it is a hub name
        model = replace(model, path=str(Path(model.path).resolve()))
    return replace(config, runs_folder=str(Path(config.runs_folder).resolve()), model=model)


def _check_resources(config: RunConfig) -> None:
    available = ray.cluster_resources()
    for kind, wanted in demand(config).items():
        has = available.get(kind, 0.0)
        if wanted > has + 1e-6:
            raise ConfigError(
                f"the run reserves {wanted:g} {kind}s (trainer.num_workers {config.trainer.num_workers}, "
                f"rollout.num_engines {config.rollout.num_engines}, reward, reference and bridge actors) but the cluster has "
                f"{has:g}; lower num_workers / num_engines / num_{kind.lower()}s_per_*, or add nodes"
            )


class PictureSight:
    """Which way pictures go to actors: by reference as long as every node sees the files, else as bytes from here.

    A node that joins later is asked when it is first seen. What was submitted before it joined is on its way by
    reference; a row that an engine there can't read is told by its name.

    Example:
        sight = PictureSight(note=print)
        sight.place(prompts)
        sight.for_actors(prompts)
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note
        self.sends = False  # as bytes from here
        self._files: dict[str, int] = {}  # that nodes are asked for: path, size
        self._asked: set[str] = set()  # nodes
        self._next_look = 0.0
        self._lock = threading.Lock()  # prompts are prepared in a thread too

    def place(self, prompts: Sequence[Prompt]) -> None:
        """Ask each node once whether it sees the files of the pictures, and say which way they go."""
        self._files = sample_files(image for prompt in prompts for image in prompt.images)
        self._asked = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        blind = nodes_without(self._files)
        self.sends = bool(blind)
        if blind:
            self._say(blind)
        elif self._files:
            self.note("pictures are read where they are used: every node sees their files")

    def for_actors(self, prompts: list[Prompt]) -> list[Prompt]:
        """The prompts as they go to actors. Raises ValueError for a picture that has changed."""
        if self._files and not self.sends:
            with self._lock:
                self._ask_late_nodes()
        return [held_here(prompt) for prompt in prompts] if self.sends else prompts

    def _ask_late_nodes(self) -> None:
        now = time.monotonic()
        if self.sends or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        late = {node["NodeID"] for node in ray.nodes() if node["Alive"]} - self._asked
        if not late:
            return
        self._asked |= late
        try:
            blind = nodes_without(self._files, late)
        except ActorError as error:  # it left again, or is not up yet: no reason to end a run
            blind = {"a node that joined": f"them for all that is known ({str(error).splitlines()[0]:.120})"}  # fmt: skip
        self.sends = bool(blind)
        if blind:
            self._say(blind)

    def _say(self, blind: dict[str, str]) -> None:
        lacks = ", ".join(f"{node} does not see {path}" for node, path in blind.items())
        self.note(f"pictures are sent from here as bytes: {lacks:.300}")


def nodes_without(files: dict[str, int], among: Collection[str] | None = None) -> dict[str, str]:
    """The nodes that do not see one of these files (path and size) as this one does, and the first they lack.

    `among` are the ids of those to be asked, None for all. Raises ActorError naming the nodes that did not answer.
    """
    here = ray.get_runtime_context().get_node_id()
    look = ray.remote(unlike_here)
    others = {
        node["NodeName"] + " " + node["NodeID"][:6]: look.options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(files)
        for node in ray.nodes()
        if files
        and node["Alive"]
        and node["NodeID"] != here
        and (among is None or node["NodeID"] in among)
    }
    phase = "asking the nodes for the pictures"
    answers = wait_for(others, phase=phase, timeout_seconds=SIGHT_SECONDS) if others else []
    return {name: lacks[0] for name, lacks in zip(others, answers, strict=True) if lacks}
