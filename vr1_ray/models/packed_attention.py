"""Attention over packed groups, as functions that transformers' own layers call by name.

The layout travels as the keyword argument `packed` through the language model to here. On CPU, and without flash-attn,
segments of like length with one prefix are one call of SDPA with a rectangular mask; with flash-attn
(`flash_varlen.py`) the whole sequence is one call. Windows of sliding-window layers are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, AttentionMaskInterface

from vr1_ray.models.flash_varlen import Varlen, flash_varlen, varlen_of
from vr1_ray.models.packing import PackedGroup, Segment, segments_of

# Rows of a rectangle are padded to the longest. Up to so many tokens, or that share, cost less than another call.
FEW_TOKENS = 64
SHARE = 1 / 4


@dataclass(kw_only=True)
class Rectangle:
    """Segments with one prefix, padded on the right to `width`: [rows, width] queries, [rows, prefix + width] keys.

    Example:
        [rectangle] = rectangles_of([Segment(start=0, length=5)])
        rectangle.index()  # tensor([0, 1, 2, 3, 4])
    """

    segments: list[Segment]
    masks: dict[int | None, torch.Tensor] = field(default_factory=dict)  # by window

    @property
    def width(self) -> int:
        return self.segments[0].length  # the longest stands first

    @property
    def prefix(self) -> slice:
        first = self.segments[0]
        return slice(first.prefix_start, first.prefix_start + first.prefix_length)

    def index(self) -> torch.Tensor:
        """Token of the sequence at each place, [rows * width]; a row's padding repeats its last token."""
        ahead = torch.arange(self.width)
        rows = [segment.start + ahead.clamp(max=segment.length - 1) for segment in self.segments]
        return torch.cat(rows)

    def is_real(self) -> torch.Tensor:
        """Whether a place is no padding, [rows * width]."""
        lengths = torch.tensor([segment.length for segment in self.segments])
        return (torch.arange(self.width) < lengths[:, None]).flatten()

    def mask(self, window: int | None, device: torch.device) -> torch.Tensor | None:
        """[width, prefix + width], True where a query sees a key: causal at the lower right; None for plain causal."""
        before = self.prefix.stop - self.prefix.start
        if window is not None and window >= before + self.width:
            window = None
        if window is None and not before:
            return None
        if window not in self.masks:
            sees = torch.ones(self.width, before + self.width, dtype=torch.bool, device=device)
            sees = sees.tril(before)
            self.masks[window] = sees if window is None else sees.triu(before - window + 1)
        return self.masks[window]


def rectangles_of(segments: Sequence[Segment]) -> list[Rectangle]:
    """Cut segments into rectangles: by prefix, the longest first, a new one where padding would cost too much."""
    by_prefix: dict[tuple[int, int], list[Segment]] = {}
    for segment in segments:
        by_prefix.setdefault((segment.prefix_start, segment.prefix_length), []).append(segment)
    found = []
    for same in by_prefix.values():
        current: list[Segment] = []
        for segment in sorted(same, key=lambda one: (-one.length, one.start)):
            longest = current[0].length if current else 0
            if current and longest - segment.length > max(FEW_TOKENS, SHARE * longest):
                found.append(Rectangle(segments=current))
                current = []
            current.append(segment)
        found.append(Rectangle(segments=current))
    return found


class Packed:
    """A packed sequence as the attention of each layer wants it; made once a forward pass.

    Example:
        packed = Packed(batch.groups, device)
        language_model(inputs_embeds=embeds, position_ids=positions, packed=packed)
    """

    def __init__(self, groups: Sequence[PackedGroup], device: torch.device) -> None:
        self.segments = segments_of(groups)
        self.device = device
        self._rectangles: tuple[list[tuple[Rectangle, torch.Tensor]], torch.Tensor] | None = None
        self._varlen: Varlen | None = None

    @property
    def rectangles(self) -> tuple[list[tuple[Rectangle, torch.Tensor]], torch.Tensor]:
        """Each rectangle with its index, and where each token stands among all their places, [T]."""
        if self._rectangles is None:
            rectangles = rectangles_of(self.segments)
            indices = [rectangle.index() for rectangle in rectangles]
            is_real = torch.cat([rectangle.is_real() for rectangle in rectangles])
            # Each token is real at one place, so that sorting the tokens gives the places in their order.
            inverse = is_real.nonzero().squeeze(1)[torch.cat(indices)[is_real].argsort()]
            pairs = [
                (rectangle, index.to(self.device))
                for rectangle, index in zip(rectangles, indices, strict=True)
            ]
            self._rectangles = pairs, inverse.to(self.device)
        return self._rectangles

    @property
    def varlen(self) -> Varlen:
        """The same for flash-attn."""
        if self._varlen is None:
            self._varlen = varlen_of(self.segments, self.device)
        return self._varlen


def _by_rectangles(
    module: Any,
    query: torch.Tensor,  # [1, heads, T, size]
    key: torch.Tensor,  # [1, key heads, T, size]
    value: torch.Tensor,
    attention_mask: None,
    *,
    packed: Packed,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """SDPA, a call a rectangle. Returns [1, T, heads, size]."""
    rectangles, inverse_T = packed.rectangles
    found = []
    for rectangle, index in rectangles:
        queries, keys, values = (
            _rows(states, rectangle, index, with_prefix=place > 0)
            for place, states in enumerate((query, key, value))
        )
        mask = rectangle.mask(sliding_window, packed.device)
        repeats = query.shape[1] // key.shape[1]
        if mask is not None and repeats > 1:  # kernels that take a mask want as many key heads
            keys, values = (states.repeat_interleave(repeats, dim=1) for states in (keys, values))
        out = F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=mask is None,
            scale=scaling,
            dropout_p=dropout,
            enable_gqa=mask is None and repeats > 1,
        )
        found.append(out.transpose(1, 2).flatten(0, 1))  # [rows * width, heads, size]
    return torch.cat(found).index_select(0, inverse_T).unsqueeze(0), None


def _rows(
    states: torch.Tensor, rectangle: Rectangle, index: torch.Tensor, *, with_prefix: bool
) -> torch.Tensor:
    """[1, heads, T, size] -> [rows, heads, width, size], behind the prefix if that is asked for."""
    rows, first = len(rectangle.segments), rectangle.segments[0]
    if rows == 1:
        own = states.narrow(2, first.start, first.length)
    else:
        own = states[0].index_select(1, index).unflatten(1, (rows, -1)).transpose(0, 1)
    if not with_prefix or not first.prefix_length:
        return own
    prefix = states[:, :, rectangle.prefix].expand(rows, -1, -1, -1)
    return torch.cat([prefix, own], dim=2)


def _by_hand(*arguments: Any, **named: Any) -> tuple[torch.Tensor, None]:
    """The same by torch's plain products and softmax."""
    with sdpa_kernel(SDPBackend.MATH):
        return _by_rectangles(*arguments, **named)


def _by_flash(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    packed: Packed,
    **named: Any,
) -> tuple[torch.Tensor, None]:
    return flash_varlen(query, key, value, packed.varlen, **named), None


PACKED: dict[str, tuple[str, Callable[..., tuple[torch.Tensor, None]]]] = {
    # `model.attention` as decided -> (name among transformers' attentions, function)
    "sdpa": ("packed_sdpa", _by_rectangles),
    "eager": ("packed_by_hand", _by_hand),
    "flash_attention_2": ("packed_varlen", _by_flash),
}
for _name, _function in PACKED.values():
    AttentionInterface.register(_name, _function)
    # No mask is made: what a token sees is in `packed`.
    AttentionMaskInterface.register(_name, lambda *_arguments, **_named: None)


def use_packed_attention(language_model: Any, attention: str) -> None:
    """Let a transformers language model run packed sequences, by the kernels that `attention` names.

    From then on each of its forward passes needs `packed`.
    """
    language_model.set_attn_implementation(PACKED[attention][0])
