"""Where groups stand in a packed sequence, and which keys each of its tokens sees. Plain numbers, no tensors.

A packed sequence is one row without padding: for each group its prompt once, then its responses one after the other.
A prompt is causal to itself. A response sees its prompt and itself, not the other responses: it is as if it stood alone
behind the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedGroup:
    """One prompt and its responses, from token `start` of the packed sequence on.

    Example:
        PackedGroup(start=0, prompt_length=5, response_lengths=(3, 4))  # 12 tokens
    """

    start: int
    prompt_length: int
    response_lengths: tuple[int, ...]

    @property
    def response_starts(self) -> list[int]:
        """Where each response begins."""
        first = self.start + self.prompt_length
        return list(accumulate(self.response_lengths[:-1], initial=first))

    @property
    def end(self) -> int:
        """One past the last token."""
        return self.start + self.prompt_length + sum(self.response_lengths)


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A run of tokens that is causal to itself, and sees all of a prefix before it.

    Example:
        Segment(start=8, length=4, prefix_start=0, prefix_length=5)  # the second response of the group above
    """

    start: int
    length: int
    prefix_start: int = 0
    prefix_length: int = 0


def lay_out(groups: Sequence[tuple[int, Sequence[int]]]) -> tuple[PackedGroup, ...]:
    """One group after the other, each given as (prompt's length, responses' lengths)."""
    laid: list[PackedGroup] = []
    for prompt_length, response_lengths in groups:
        laid.append(
            PackedGroup(
                start=laid[-1].end if laid else 0,
                prompt_length=prompt_length,
                response_lengths=tuple(response_lengths),
            )
        )
    return tuple(laid)


def segments_of(groups: Sequence[PackedGroup]) -> list[Segment]:
    """The segments that cover the sequence, in its order: prompts and responses.

    A prompt with one response is one segment: nobody shares it.
    """
    found = []
    for group in groups:
        responses = [
            Segment(
                start=start,
                length=length,
                prefix_start=group.start,
                prefix_length=group.prompt_length,
            )
            for start, length in zip(group.response_starts, group.response_lengths, strict=True)
            if length
        ]
        if len(responses) <= 1:
            found.append(Segment(start=group.start, length=group.end - group.start))
            continue
        found.append(Segment(start=group.start, length=group.prompt_length))
        found += responses
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Of each token its group, its place in its prompt or response, and whether it is a prompt's; all [T].

    Example:
        places_of(lay_out([(2, [1, 2])])).place_T  # 0 1 | 0 | 0 1
    """

    group_T: np.ndarray
    place_T: np.ndarray
    is_prompt_T: np.ndarray


def places_of(groups: Sequence[PackedGroup]) -> Places:
    """The places of all tokens of a sequence."""
    lengths = [[group.prompt_length, *group.response_lengths] for group in groups]
    runs = [length for group in lengths for length in group]
    starts = np.cumsum([0, *runs[:-1]])
    is_prompt = [index == 0 for group in lengths for index in range(len(group))]
    return Places(
        group_T=np.repeat(np.arange(len(groups)), [sum(group) for group in lengths]),
        place_T=np.arange(sum(runs)) - np.repeat(starts, runs),
        is_prompt_T=np.repeat(np.array(is_prompt, dtype=bool), runs),
    )
