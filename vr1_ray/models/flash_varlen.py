"""A packed sequence as one call of flash-attn, which needs a GPU. Nothing else imports flash-attn.

`flash_attn_varlen_func` takes queries and keys of different lengths and aligns them at the lower right, which is what a
response behind a shared prompt needs: its keys are the prompt's and its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vr1_ray.models.packing import Segment


@dataclass(frozen=True, kw_only=True, slots=True)
class Varlen:
    """Segments as flash-attn wants them. Queries are the sequence as it is; keys are gathered by `key_index`.

    Example:
        varlen_of(segments_of(lay_out([(2, [1, 2])])), device).cumulative_keys  # 0 2 | 5 | 9
    """

    cumulative_queries: torch.Tensor  # [segments + 1] int32
    cumulative_keys: torch.Tensor  # [segments + 1] int32
    key_index: torch.Tensor | None  # token of each key; None where no prefix is shared
    longest_queries: int
    longest_keys: int


def varlen_of(segments: Sequence[Segment], device: torch.device) -> Varlen:
    """The lengths and keys of segments that cover a sequence in its order."""
    queries = torch.tensor([segment.length for segment in segments])
    keys = torch.tensor([segment.prefix_length + segment.length for segment in segments])
    runs = [
        torch.arange(start, start + length)
        for segment in segments
        for start, length in (
            (segment.prefix_start, segment.prefix_length),
            (segment.start, segment.length),
        )
    ]
    is_shared = any(segment.prefix_length for segment in segments)
    return Varlen(
        cumulative_queries=_cumulative(queries, device),
        cumulative_keys=_cumulative(keys, device),
        key_index=torch.cat(runs).to(device) if is_shared else None,
        longest_queries=int(queries.max()),
        longest_keys=int(keys.max()),
    )


def _cumulative(lengths: torch.Tensor, device: torch.device) -> torch.Tensor:
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(device, torch.int32)


def flash_varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    varlen: Varlen,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> torch.Tensor:
    """[1, heads, T, size] queries, keys and values -> [1, T, heads, size]."""
    from flash_attn import flash_attn_varlen_func

    queries, keys, values = (states[0].transpose(0, 1) for states in (query, key, value))
    if varlen.key_index is not None:
        keys, values = (states.index_select(0, varlen.key_index) for states in (keys, values))
    out = flash_attn_varlen_func(
        queries,
        keys,
        values,
        cu_seqlens_q=varlen.cumulative_queries,
        cu_seqlens_k=varlen.cumulative_keys,
        max_seqlen_q=varlen.longest_queries,
        max_seqlen_k=varlen.longest_keys,
        dropout_p=dropout,
        softmax_scale=scaling,
        causal=True,
        window_size=(-1, -1) if sliding_window is None else (sliding_window - 1, 0),
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )
    return out.unsqueeze(0)
