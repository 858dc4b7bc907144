"""The reference actors: the frozen policy that the KL term keeps the trained one near."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray

from vr1_ray.actors.process import begin_process
from vr1_ray.actors.restarting import RestartWatch, restarts, this_process
from vr1_ray.actors.rewards.reward_pool import placement_options
from vr1_ray.actors.seats import Seats
from vr1_ray.actors.waiting import put, wait_for
from vr1_ray.config import RunConfig
from vr1_ray.training.dealing import balance
from vr1_ray.training.rows import Unit, images_of, row_to_score
from vr1_ray.types import EncodedImage, RolloutGroup, TrainRow


class ReferenceActor:
    """Computes the reference log-probabilities of responses. Each call names the policy: none is assumed.

    With `reference.sharded` all of them are ranks of one group: `listen` opens the rendezvous on the first,
    and every other call goes to all of them at once.
    """

    def __init__(self, config: RunConfig, index: int, gpus: str = "") -> None:
        """`gpus`: what a guest of the trainer sees, for Ray reserved it none (`seats.py`)."""
        begin_process(str(config.folder / "logs"), f"reference_{index}")
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus
        self.config = config
        self.index = index
        self.listener: socket.socket | None = None
        self.model_path: str | None = None  # of the policy that is loaded

    def listen(self) -> tuple[str, int]:
        """Open the ranks' rendezvous on this actor's node; returns address and port."""
        from vr1_ray.training.distributed import listen

        address = ray.util.get_node_ip_address()
        self.listener = listen(address)
        return address, self.listener.getsockname()[1]

    def join(self, address: str, port: int) -> None:
        """Become a rank of the group that shares one policy."""
        from vr1_ray.training.distributed import init_distributed

        init_distributed(
            rank=self.index,
            world_size=self.config.reference.num_actors,
            master_addr=address,
            master_port=port,
            timeout_seconds=self.config.cluster.step_timeout_seconds,
            listener=self.listener,
        )

    def load(self, model_path: str) -> tuple[str, None]:
        """Load the frozen policy of a model folder, unless it is loaded already."""
        if self.model_path != model_path:
            from vr1_ray.training.reference import ReferencePolicy

            self.policy = ReferencePolicy(
                model=replace(self.config.model, path=model_path),
                trainer=self.config.trainer,
                num_threads=self.config.reference.num_threads,
                deterministic=self.config.deterministic,
                is_sharded=self.config.reference.sharded,
            )
            self.model_path = model_path
            self._make_room()
        return this_process(), None

    def compute_logprobs(
        self, model_path: str, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> tuple[str, list[tuple[float, ...]]]:
        """This process, and one tuple of log-probabilities per row, one per response token."""
        self.load(model_path)
        logprobs = self.policy.compute_logprobs(rows, images)
        self._make_room()
        return this_process(), logprobs

    def _make_room(self) -> None:
        """The trainer rank on this GPU, or an engine, comes next."""
        if self.config.is_colocated:
            from vr1_ray.training.distributed import give_cached_memory_back

            give_cached_memory_back()


class ReferenceGroup:
    """N reference actors. One that dies is started again by Ray and does its part of the step once more.

    Of a sharded reference none can be started alone, and of a colocated one Ray knows no GPU: losing one ends the
    run, which resumes from its checkpoint.
    """

    def __init__(
        self, config: RunConfig, note: Callable[[str], None], seats: Seats | None = None
    ) -> None:
        self.config = config
        self.timeout = config.cluster.step_timeout_seconds
        self.start_timeout = config.cluster.start_timeout_seconds
        self.model_path = config.model.path
        self.watch = RestartWatch(note)
        self.actors: list[Any] = [
            self._launch(index, seats) for index in range(config.reference.num_actors)
        ]

    def _launch(self, index: int, seats: Seats | None) -> Any:
        reference = self.config.reference
        options = placement_options(reference)
        if seats:
            options = {
                "num_cpus": reference.num_cpus_per_actor,
                "num_gpus": 0,
                **seats.of_rank(index),
            }
        num_restarts = 0 if reference.sharded or seats else reference.max_restarts
        remote = ray.remote(ReferenceActor).options(**options, **restarts(num_restarts))
        return remote.remote(self.config, index, seats.gpus_of_rank(index) if seats else "")

    def starting(self) -> dict[str, Any]:
        """Begin loading on every actor; returns the refs to wait for."""
        if self.config.reference.sharded:
            self._join()
        return {
            f"reference {index}": actor.load.remote(self.model_path)
            for index, actor in enumerate(self.actors)
        }

    def _join(self) -> None:
        """Make the actors ranks of one group."""
        first = {"reference 0": self.actors[0].listen.remote()}
        phase = "opening the reference's rendezvous"
        [(address, port)] = wait_for(first, phase=phase, timeout_seconds=self.start_timeout)
        joining = {
            f"reference {index}": actor.join.remote(address, port)
            for index, actor in enumerate(self.actors)
        }
        wait_for(joining, phase="joining the reference", timeout_seconds=self.start_timeout)

    def reset(self, model_path: str) -> None:
        """Make another policy folder the reference."""
        self.model_path = model_path
        calls = {
            f"reference {index}": (actor, "load", (model_path,))
            for index, actor in enumerate(self.actors)
        }
        self.watch.call(calls, phase="resetting the reference", timeout_seconds=self.start_timeout)

    def add_logprobs(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """Fill `ref_logprobs` of every rollout. Who computes which rows does not change the numbers."""
        temperature = self.config.rollout.temperature
        units: list[Unit] = [
            [
                row_to_score(group, index, temperature=temperature)
                for index in range(len(group.rollouts))
            ]
            for group in groups
        ]
        prompts = [group.prompt for group in groups]
        parts = balance(units, len(self.actors))
        calls = {}
        for index, (actor, part) in enumerate(zip(self.actors, parts, strict=True)):
            rows = put([row for unit in part for row in unit], what="rows to score")
            images = put(images_of(prompts, part), what="their pictures")
            arguments = (self.model_path, rows, images)
            calls[f"reference {index}"] = (actor, "compute_logprobs", arguments)
        phase = f"computing reference log-probabilities in step {groups[0].step}"
        answers = self.watch.call(calls, phase=phase, timeout_seconds=self.timeout)
        logprobs = {
            row.row_id: values
            for part, answer in zip(parts, answers, strict=True)
            for row, values in zip([row for unit in part for row in unit], answer, strict=True)
        }
        return [
            group.with_rollouts(
                [
                    replace(
                        rollout, ref_logprobs=logprobs[f"{group.prompt.prompt_id}/{rollout.index}"]
                    )
                    for rollout in group.rollouts
                ]
            )
            for group in groups
        ]
