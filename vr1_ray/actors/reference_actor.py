"""The reference actor: the frozen policy that the KL term keeps the trained one near."""

from dataclasses import replace

from vr1_ray.actors.cluster import write_output_to
from vr1_ray.config import RunConfig
from vr1_ray.types import EncodedImage, TrainRow


class ReferenceActor:
    """Computes the reference log-probabilities of responses."""

    def __init__(self, config: RunConfig, index: int) -> None:
        write_output_to(str(config.folder / "logs"), f"reference_{index}")
        self.config = config

    def start(self, model_path: str | None = None) -> None:
        """Load the frozen policy; call it again with another folder to reset the reference."""
        from vr1_ray.training.reference import ReferencePolicy

        model = self.config.model
        if model_path is not None:
            model = replace(model, path=model_path)
        self.policy = ReferencePolicy(
            model=model,
            trainer=self.config.trainer,
            num_threads=self.config.reference.num_threads,
            deterministic=self.config.deterministic,
        )

    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> list[tuple[float, ...]]:
        """One tuple of log-probabilities per row, one per response token."""
        return self.policy.compute_logprobs(rows, images)
