"""Actors that take a place and have no model. A module of its own, so that their processes load next to nothing."""

import time
from pathlib import Path

import ray

from vr1_ray.actors.restarting import this_process
from vr1_ray.types import RolloutGroup

FAULT = "CUDA error: unspecified launch failure"


class Engine:
    """An engine's place: says what it was asked, and fails where or when it is told to."""

    def __init__(self):
        self.loads = []
        self.fault = ""

    def start(self, broken_node=""):
        node = ray.get_runtime_context().get_node_id()
        if node == broken_node:
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        return node

    def load_weights(self, version):
        self.loads.append(version)
        return version, ""

    def loaded(self):
        return self.loads

    def generate_group(self, prompt, spec, stage, step, *others):
        return RolloutGroup(
            prompt=prompt, step=step, stage=stage, policy_version=0, prompt_ids=(1,), rollouts=()
        )

    def fail(self):
        self.fault = FAULT

    def probe(self):
        if self.fault:
            raise RuntimeError(self.fault)

    def close(self):
        """Nothing to stop."""


class Rank:
    """A trainer rank's place; the GPU of the second one has failed."""

    def __init__(self, config, rank):
        self.rank = rank

    def look(self, token):
        return "127.0.0.1", Path(token).read_text()

    def listen(self, address):
        return 1

    def start(self, *arguments):
        return ray.get_runtime_context().get_node_id()

    def ping(self):
        if self.rank == 1:
            raise RuntimeError(FAULT)
        time.sleep(0.5)


class Reference:
    """A reference actor's place; its GPU fails while the file is there, which it removes."""

    def answer(self, file=None):
        if file is not None and file.exists():
            file.unlink()
            raise RuntimeError(FAULT)
        return this_process(), 7
