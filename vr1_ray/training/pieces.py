"""Rows that share a prompt, dealt into parts of nearly equal tokens. Plain Python, no tensors.

A prompt's tokens count once wherever rows of it are together. Rows are dealt in several ways, the ways are evened out by
moving single rows, and the one whose heaviest part is lightest is taken. All of it is deterministic.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vr1_ray.training.rows import prompt_of
from vr1_ray.types import TrainRow

Rows = list[tuple[int, int]]  # (index of a row, its response tokens)
EVEN = 1.01  # a heaviest part of so many times the mean is not worth another try
MOST_MOVES = 256  # of single rows, after each try: what bounds its cost
PARTNERS = 8  # the heaviest part tries to give to so many of the lightest


@dataclass(kw_only=True, slots=True)
class Piece:
    """Rows that share a prompt.

    Example:
        Piece(key=0, prompt=29, rows=[(0, 60), (1, 75)]).tokens  # 164
    """

    key: int  # equal for pieces of the same prompt
    prompt: int
    rows: Rows

    @property
    def tokens(self) -> int:
        """Tokens that a model runs over."""
        return self.prompt + sum(length for _, length in self.rows)

    def of(self, rows: Rows) -> "Piece":
        """Some rows of it, behind the same prompt."""
        return Piece(key=self.key, prompt=self.prompt, rows=rows)


@dataclass(kw_only=True, slots=True)
class Part:
    """What one rank or one micro-batch gets.

    Example:
        part = Part()
        part.add(Piece(key=0, prompt=29, rows=[(0, 60)]))
    """

    tokens: int = 0
    pieces: dict[int, Piece] = field(default_factory=dict)

    def add(self, piece: Piece) -> None:
        """Take rows in; where their prompt stands already it costs nothing."""
        if piece.key in self.pieces:
            here = self.pieces[piece.key]
            self.tokens -= here.tokens
            piece = piece.of(sorted(here.rows + piece.rows))
        self.pieces[piece.key] = piece
        self.tokens += piece.tokens

    def remove(self, piece: Piece) -> None:
        """Give rows away."""
        here = self.pieces.pop(piece.key)
        self.tokens -= here.tokens
        left = [row for row in here.rows if row not in piece.rows]
        if left:
            self.add(piece.of(left))

    def swap(self, other: "Part", given: Piece, taken: Piece | None = None) -> None:
        """Give rows to another part, and take some for them."""
        self.remove(given)
        if taken:
            other.remove(taken)
            self.add(taken)
        other.add(given)

    def singles(self, other: "Part") -> list["Single"]:
        """Each of its rows, with what it would be to another part."""
        return [
            Single(
                piece=piece.of([row]),
                leaves=row[1] + piece.prompt * (len(piece.rows) == 1),
                costs=row[1] + piece.prompt * (piece.key not in other.pieces),
            )
            for piece in self.pieces.values()
            for row in piece.rows
        ]

    @property
    def num_rows(self) -> int:
        return sum(len(piece.rows) for piece in self.pieces.values())

    def groups(self) -> list[list[int]]:
        """Indices of its rows, those of one prompt together, in the order they were given."""
        return sorted([index for index, _ in sorted(piece.rows)] for piece in self.pieces.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Single:
    """A row that might move: by how many tokens the part that it leaves becomes lighter, and the other one heavier."""

    piece: Piece
    leaves: int
    costs: int


def pieces_of(rows: Sequence[TrainRow]) -> list[Piece]:
    """The rows of each prompt as one piece."""
    found: dict[object, Piece] = {}
    for index, row in enumerate(rows):
        piece = found.setdefault(
            prompt_of(row), Piece(key=len(found), prompt=len(row.prompt_ids), rows=[])
        )
        piece.rows.append((index, len(row.response_ids)))
    return list(found.values())


def packed_tokens(rows: Sequence[TrainRow]) -> int:
    """Tokens of these rows where each prompt stands once."""
    return sum(piece.tokens for piece in pieces_of(rows))


def within(piece: Piece, most: int) -> list[Piece]:
    """As few pieces as keep to `most` tokens, nearly equal ones; a single row that is longer stands alone."""
    if piece.tokens <= most:
        return [piece]
    room = max(1, most - piece.prompt)
    number = max(1, math.ceil((piece.tokens - piece.prompt) / room))
    while number < len(piece.rows):
        found = _cut(piece, number)
        if all(one.tokens <= most or len(one.rows) == 1 for one in found):
            return found
        number += 1
    return [piece.of([row]) for row in piece.rows]


def spread(pieces: Sequence[Piece], num_parts: int, *, num_chains: int = 0) -> list[Part]:
    """Deal pieces into parts of nearly equal tokens. No part exceeds the mean by more than the longest piece.

    `num_chains`: so many chains are tried too. They leave few second prompts and cost the more time.
    """
    mean = sum(piece.tokens for piece in pieces) / num_parts
    best: list[Part] = []
    for parts in _ways(pieces, num_parts, num_chains):
        even_out(parts)
        if not best or heaviest(parts) < heaviest(best):
            best = parts
        if heaviest(best) <= EVEN * mean:
            break
    return best


def heaviest(parts: Sequence[Part]) -> int:
    """Tokens of the heaviest part."""
    return max(part.tokens for part in parts)


def _ways(pieces: Sequence[Piece], num_parts: int, num_chains: int) -> Iterator[list[Part]]:
    yield _deal_out(pieces, num_parts)
    mean = math.ceil(sum(piece.tokens for piece in pieces) / num_parts)
    smaller = [small for piece in pieces for small in within(piece, mean)]
    if len(smaller) > len(pieces):
        yield _deal_out(smaller, num_parts)
    longest_first = sorted(pieces, key=lambda one: -one.tokens)
    for number in range(num_chains):
        first = number // 2 % max(1, len(pieces))
        order = longest_first[first:] + longest_first[:first]
        yield _chain(order[::-1] if number % 2 else order, num_parts)


def _cut(piece: Piece, number: int) -> list[Piece]:
    """At most `number` pieces of nearly equal tokens."""
    found = [piece.of([]) for _ in range(number)]
    for row in _longest_first(piece.rows):
        min(found, key=lambda one: one.tokens).rows.append(row)
    return [one for one in found if one.rows]


def _longest_first(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _deal_out(pieces: Sequence[Piece], num_parts: int) -> list[Part]:
    """The longest piece first, each to the part that is lightest with it."""
    parts = [Part() for _ in range(num_parts)]
    tokens_P = np.zeros(num_parts, dtype=np.int64)
    homes: dict[int, list[int]] = {}  # where a prompt stands
    for piece in sorted(pieces, key=lambda one: (-one.tokens, one.rows[0])):
        known = homes.setdefault(piece.key, [])
        after_P = tokens_P + piece.tokens
        after_P[known] -= piece.prompt
        at = int(after_P.argmin())
        parts[at].add(piece)
        tokens_P[at] = after_P[at]
        if at not in known:
            known.append(at)
    return parts


def _chain(pieces: Sequence[Piece], num_parts: int) -> list[Part]:
    """One part after the other is filled to the mean, and the piece that does not fit goes on in the next.

    Neighbours share a prompt then, so that rows move between them at no cost; a second prompt a part at most.
    """
    parts = [Part() for _ in range(num_parts)]
    left = list(reversed(pieces))
    rest = sum(piece.tokens for piece in left)
    for place, part in enumerate(parts):
        if not left:
            break
        cuts = num_parts - place - 1  # to come, a prompt each
        mean = (rest + cuts * left[-1].prompt) / (cuts + 1)
        rest += _fill(part, left, mean if cuts else math.inf) - part.tokens
    return parts


def filled(pieces: Sequence[Piece], most: int) -> list[Part]:
    """As many parts as it takes where one after the other is filled to `most` tokens, which no single row exceeds."""
    parts = []
    left = sorted(pieces, key=lambda one: one.tokens)
    while left:
        parts.append(Part())
        _fill(parts[-1], left, most)
    return parts


def _fill(part: Part, left: list[Piece], most: float) -> int:
    """Take pieces off the end of `left`, and of the first that is too long the rows that fit, if they take the better
    half of what is free. An empty part takes one row at least. Returns the tokens of a second prompt, if there is one.
    """
    while left and part.tokens + left[-1].tokens <= most:
        part.add(left.pop())
    if not left:
        return 0
    piece, free = left[-1], most - part.tokens - left[-1].prompt
    taken: Rows = []
    for row in _longest_first(piece.rows):
        if row[1] <= free:
            taken.append(row)
            free -= row[1]
    if part.pieces and (not taken or free > (most - part.tokens) / 2):
        return 0
    taken = taken or _longest_first(piece.rows)[:1]
    part.add(piece.of(taken))
    others = [row for row in piece.rows if row not in taken]
    left[-1:] = [piece.of(others)] if others else []
    return piece.prompt if others else 0


def even_out(parts: list[Part]) -> None:
    """Move or swap rows between the heaviest part and a lighter one, as long as the heaviest becomes lighter."""
    for _ in range(MOST_MOVES):
        heavy, *others = sorted(parts, key=lambda part: -part.tokens)
        if not any(_relieve(heavy, light, len(parts)) for light in others[: -PARTNERS - 1 : -1]):
            return


def _relieve(heavy: Part, light: Part, num_parts: int) -> bool:
    """Swap a row of `heavy` for one of `light`, or for none, so that the heavier of them becomes as light as it can.

    Second prompts that this makes count for what they add to the mean of all parts.
    """
    given, taken = heavy.singles(light), light.singles(heavy)
    if not given:
        return False
    gone = np.array([[one.leaves for one in given], [one.costs for one in given]])
    come = np.array([[0, *(one.leaves for one in taken)], [0, *(one.costs for one in taken)]])
    heavy_after = heavy.tokens - gone[0][:, None] + come[1]
    light_after = light.tokens + gone[1][:, None] - come[0]
    more = (heavy_after + light_after - heavy.tokens - light.tokens) / num_parts
    after = np.maximum(heavy_after, light_after) + more
    out, back = np.unravel_index(after.argmin(), after.shape)
    before = heavy.tokens
    if after[out, back] >= before:
        return False
    moved = given[out].piece, taken[back - 1].piece if back else None
    heavy.swap(light, *moved)
    if max(heavy.tokens, light.tokens) < before:
        return True
    light.swap(heavy, *moved)  # back: both were of one prompt, which the sums above count twice
    return False
