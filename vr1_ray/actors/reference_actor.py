"""The reference actor: the frozen policy that the KL term keeps the trained one near."""

import socket
from dataclasses import replace

import ray

from vr1_ray.actors.cluster import write_output_to
from vr1_ray.config import RunConfig
from vr1_ray.types import EncodedImage, TrainRow


class ReferenceActor:
    """Computes the reference log-probabilities of responses.

    With `reference.sharded` all of them are ranks of one group: `prepare` picks the rendezvous on the first,
    and every other call goes to all of them at once.
    """

    def __init__(self, config: RunConfig, index: int) -> None:
        write_output_to(str(config.folder / "logs"), f"reference_{index}")
        self.config = config
        self.index = index

    def prepare(self) -> tuple[str, int]:
        """Address and free port of this actor's node, for the ranks' rendezvous."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    def start(
        self, model_path: str | None = None, rendezvous: tuple[str, int] | None = None
    ) -> None:
        """Load the frozen policy; call it again with another folder, and no rendezvous, to reset the reference."""
        from vr1_ray.training.distributed import init_distributed
        from vr1_ray.training.reference import ReferencePolicy

        if rendezvous is not None:
            init_distributed(
                rank=self.index,
                world_size=self.config.reference.num_actors,
                master_addr=rendezvous[0],
                master_port=rendezvous[1],
                timeout_seconds=self.config.cluster.step_timeout_seconds,
            )
        model = self.config.model
        if model_path is not None:
            model = replace(model, path=model_path)
        self.policy = ReferencePolicy(
            model=model,
            trainer=self.config.trainer,
            num_threads=self.config.reference.num_threads,
            deterministic=self.config.deterministic,
            is_sharded=self.config.reference.sharded,
        )

    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> list[tuple[float, ...]]:
        """One tuple of log-probabilities per row, one per response token."""
        return self.policy.compute_logprobs(rows, images)
