"""The policy as one module: a micro-batch in, log-probabilities of its response tokens out.

Trainer and reference run this same forward, and it is what DeepSpeed wraps, so that its hooks see every
submodule. It knows no loss and no model family (that is the adapter's).
"""

from typing import Any

import torch
from torch import nn

from vr1_ray.config import ModelConfig
from vr1_ray.models.attention import chosen_attention
from vr1_ray.models.base import ModelAdapter
from vr1_ray.models.packed_attention import use_packed_attention
from vr1_ray.training.batch import MicroBatch
from vr1_ray.training.logprobs import Entropy, ResponseLogprobs

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class PolicyModel(nn.Module):
    """A transformers model with its head replaced by `ResponseLogprobs`.

    Example:
        policy = PolicyModel(load_adapter(config), config, chunk_tokens=1024)
        logprobs_N, entropy_N = policy(micro_batch)  # entropy="none" where it is of no use
    """

    def __init__(self, adapter: ModelAdapter, config: ModelConfig, *, chunk_tokens: int) -> None:
        super().__init__()
        self.adapter = adapter
        self.attention = chosen_attention(config)
        self.model: Any = adapter.load_model(dtype=DTYPES[config.dtype], attention=self.attention)
        use_packed_attention(adapter.language_model(self.model), self.attention)
        self.response_logprobs = ResponseLogprobs(
            adapter.output_head(self.model), adapter.banned_ids, chunk_tokens
        )

    def forward(
        self, micro_batch: MicroBatch, entropy: Entropy = "value"
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probability and, if asked for, entropy [N] at each response token, float32."""
        hidden_TD = self.adapter.hidden_states(self.model, micro_batch.model_batch)
        hidden_ND = hidden_TD.index_select(0, micro_batch.positions_N)
        return self.response_logprobs(
            hidden_ND, micro_batch.token_ids_N, micro_batch.temperature_N, entropy
        )

    def freeze(self, config: ModelConfig) -> None:
        """Stop the gradient of what `model.freeze_*` names. To be called before DeepSpeed wraps the policy."""
        vision_tower, projector = self.adapter.vision_modules(self.model)
        vision_tower.requires_grad_(not config.freeze_vision_tower)
        projector.requires_grad_(not config.freeze_projector)

    def use_gradient_checkpointing(self) -> None:
        """Recompute each layer's activations in the backward pass instead of keeping them."""
        self.model.gradient_checkpointing_enable({"use_reentrant": False})
