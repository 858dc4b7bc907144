"""The reference policy: frozen weights, scored by the same code as the trainer's policy.

Whole on one device, or sharded over the ranks of one group, for models that one device can't hold. Sharded,
each rank keeps its part of every weight (DeepSpeed ZeRO-3 without an optimizer) and gathers a layer at a time.
"""

from dataclasses import replace
from typing import Any

import torch

from vr1_ray.config import ModelConfig, TrainerConfig
from vr1_ray.models import load_adapter
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.deepspeed_config import reference_deepspeed_config
from vr1_ray.training.distributed import fix_arithmetic, max_over_ranks, training_device
from vr1_ray.training.loading import load_policy
from vr1_ray.training.scoring import MicroBatches, score
from vr1_ray.types import EncodedImage, TrainRow


class ReferencePolicy:
    """A frozen policy. From `trainer` it takes the token budget and the chunk size alone.

    With `is_sharded` this is one rank of several: `init_distributed` comes first, and every method is
    collective. Each rank scores rows of its own; their numbers may differ.

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
        is_sharded: bool = False,
    ) -> None:
        fix_arithmetic(num_threads=num_threads, deterministic=deterministic)
        self.device = training_device()
        self.config = model
        self.trainer = trainer
        self.is_sharded = is_sharded
        self.policy: Any = None
        self.load_weights(model.path)

    def load_weights(self, folder: str) -> None:
        """Become the policy of a model folder: at the start, or when the reference is reset."""
        self.policy = None  # two of them may not fit
        self.config = replace(self.config, path=folder)
        self.adapter = load_adapter(self.config)
        chunk_tokens = self.trainer.logprob_chunk_tokens
        if not self.is_sharded:
            policy = load_policy(self.adapter, self.config, chunk_tokens=chunk_tokens)
            self.policy = policy.to(self.device).requires_grad_(False)
            return
        import deepspeed

        settings = reference_deepspeed_config(self.config, is_gpu=self.device.type == "cuda")
        policy = load_policy(
            self.adapter, self.config, chunk_tokens=chunk_tokens, deepspeed_config=settings
        )
        policy.requires_grad_(False)
        deepspeed.utils.set_z3_leaf_modules(policy, [type(policy.response_logprobs)])
        self.policy, *_ = deepspeed.initialize(model=policy, config=settings)

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
        if self.is_sharded:  # a rank with fewer rows takes part in the gathers of the others
            most = max_over_ranks(torch.tensor(len(micro_batches), device=self.device))
            micro_batches.stretch(int(most))
        return [tuple(logprobs.tolist()) for logprobs in score(self.policy, micro_batches)]
