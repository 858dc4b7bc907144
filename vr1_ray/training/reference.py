"""The reference policy: frozen weights, scored by the same code as the trainer's policy, without DeepSpeed."""

from dataclasses import replace

from vr1_ray.config import ModelConfig, TrainerConfig
from vr1_ray.models import load_adapter
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.distributed import fix_arithmetic, training_device
from vr1_ray.training.policy_model import PolicyModel
from vr1_ray.training.scoring import MicroBatches, score
from vr1_ray.types import EncodedImage, TrainRow


class ReferencePolicy:
    """A frozen policy. From `trainer` it takes the token budget and the chunk size alone.

    Example:
        reference = ReferencePolicy(model=config.model, trainer=config.trainer)
        ref_logprobs = reference.compute_logprobs(rows, images)
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        trainer: TrainerConfig,
        num_threads: int = 1,
        deterministic: bool = False,
    ) -> None:
        fix_arithmetic(num_threads=num_threads, deterministic=deterministic)
        self.device = training_device()
        self.config = model
        self.trainer = trainer
        self.load_weights(model.path)

    def load_weights(self, folder: str) -> None:
        """Become the policy of a model folder: at the start, or when the reference is reset."""
        self.config = replace(self.config, path=folder)
        self.adapter = load_adapter(self.config)
        policy = PolicyModel(
            self.adapter, self.config, chunk_tokens=self.trainer.logprob_chunk_tokens
        )
        self.policy = policy.to(self.device).requires_grad_(False)

    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> list[tuple[float, ...]]:
        """One tuple per row, one log-probability per response token."""
        micro_batches = MicroBatches(
            rows,
            VisionInputs(self.adapter, images),
            self.adapter,
            max_tokens=self.trainer.max_tokens_per_micro_batch,
            device=self.device,
        )
        return [tuple(logprobs.tolist()) for logprobs in score(self.policy, micro_batches)]
