"""Log-probabilities of response tokens, without ever holding the logits of a whole batch.

Logits exist for `chunk_tokens` response positions at a time, forward and backward: 16K tokens times a
vocabulary of 152K would be 10 GB a row. This one definition serves trainer and reference, and it is the
engine's too: the softmax runs in float32 over the vocabulary without the banned ids, after temperature.
"""

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

# Of the distribution at each token: nothing, its entropy (a metric), or with its gradient too (a term of the loss).
Entropy = Literal["none", "value", "gradient"]


class ResponseLogprobs(nn.Module):
    """The output head, asked only for the tokens that were sampled.

    Under ZeRO-3 this module is a leaf: the head is gathered once for all chunks, so ranks with
    different numbers of response tokens still gather in the same order.

    Example:
        head = ResponseLogprobs(adapter.output_head(model), adapter.banned_ids, chunk_tokens=1024)
        logprobs_N, entropy_N = head(hidden_ND, token_ids_N, temperature_N)
    """

    def __init__(self, head: nn.Module, banned_ids: tuple[int, ...], chunk_tokens: int) -> None:
        super().__init__()
        self.head = head
        self.chunk_tokens = chunk_tokens
        self.banned_ids: torch.Tensor
        self.register_buffer(
            "banned_ids", torch.tensor(banned_ids, dtype=torch.long), persistent=False
        )

    def forward(
        self,
        hidden_ND: torch.Tensor,
        token_ids_N: torch.Tensor,
        temperature_N: torch.Tensor,
        entropy: Entropy = "value",
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probability of each response token, and the entropy of the distribution there, both [N] float32."""
        chunks = [
            self._checkpointed(hidden, ids, temperature, entropy)
            for hidden, ids, temperature in zip(
                hidden_ND.split(self.chunk_tokens),
                token_ids_N.split(self.chunk_tokens),
                temperature_N.split(self.chunk_tokens),
                strict=True,
            )
        ]
        logprobs, entropies = zip(*chunks, strict=True)
        return torch.cat(logprobs), None if entropy == "none" else torch.cat(entropies)

    def _checkpointed(
        self, hidden: torch.Tensor, ids: torch.Tensor, temperature: torch.Tensor, entropy: Entropy
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not torch.is_grad_enabled():
            return self._chunk(hidden, ids, temperature, entropy)
        return checkpoint(
            self._chunk,
            hidden,
            ids,
            temperature,
            entropy,
            use_reentrant=False,
            preserve_rng_state=False,
        )

    def _chunk(
        self, hidden: torch.Tensor, ids: torch.Tensor, temperature: torch.Tensor, entropy: Entropy
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        weight = cast(torch.Tensor, self.head.weight)
        logits = F.linear(hidden, weight, getattr(self.head, "bias", None)).float()
        logits = (logits / temperature[:, None]).index_fill(1, self.banned_ids, -torch.inf)
        logprobs_NV = logits.log_softmax(dim=-1)
        logprobs = logprobs_NV.gather(1, ids[:, None]).squeeze(1)
        if entropy == "none":
            return logprobs, None
        if entropy == "gradient":
            return logprobs, _entropy(logprobs_NV)
        with torch.no_grad():
            return logprobs, torch.special.entr(logprobs_NV.exp()).sum(dim=-1)


def _entropy(logprobs_NV: torch.Tensor) -> torch.Tensor:
    """-sum p log p; banned ids (p = 0) add nothing, neither here nor to the gradient, which `entr` makes infinite."""
    return -(logprobs_NV.exp() * logprobs_NV.masked_fill(logprobs_NV.isneginf(), 0.0)).sum(dim=-1)
