"""Who trains which rows: over ranks, and over the micro-batches of each. Plain Python, no tensors yet.

The rows of one prompt share it, so a prompt's tokens count once wherever its rows are together. They are dealt as one
piece, or as a few where that balances better than it costs second prompts: the longest piece first, each to the lightest
part. Where parts are still uneven, rows of the heaviest move to the lightest. All of it is deterministic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np

from vr1_ray.training.rows import Unit, prompt_of
from vr1_ray.types import TrainRow

Rows = list[tuple[int, int]]  # (index of a row, its response tokens)
MOVES_PER_PART = 8
WORTH_A_PROMPT = 0.99  # cutting pieces, whose prompts then stand twice, is to make the heaviest part so much lighter


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
            piece = Piece(key=piece.key, prompt=piece.prompt, rows=sorted(here.rows + piece.rows))
        self.pieces[piece.key] = piece
        self.tokens += piece.tokens

    def remove(self, piece: Piece) -> None:
        """Give rows away."""
        here = self.pieces.pop(piece.key)
        self.tokens -= here.tokens
        left = [row for row in here.rows if row not in piece.rows]
        if left:
            self.add(Piece(key=piece.key, prompt=piece.prompt, rows=left))

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
                piece=Piece(key=piece.key, prompt=piece.prompt, rows=[row]),
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


def spread(pieces: Sequence[Piece], num_parts: int) -> list[Part]:
    """Deal pieces into parts of nearly equal tokens. No part exceeds the mean by more than the longest piece.

    Pieces stay whole, or all are cut in two, in four and so on, if the heaviest part becomes lighter by it.
    """
    best: list[Part] = []
    most_rows = max((len(piece.rows) for piece in pieces), default=0)
    number = 1
    while not best or number < 2 * most_rows:
        finer = [small for piece in pieces for small in _cut(piece, number)]
        parts = _deal_out(finer, num_parts)
        _even_out(parts)
        if not best or _heaviest(parts) < WORTH_A_PROMPT * _heaviest(best):
            best = parts
        number *= 2
    return best


def _heaviest(parts: list[Part]) -> int:
    return max(part.tokens for part in parts)


def _cut(piece: Piece, number: int) -> list[Piece]:
    """At most `number` pieces of nearly equal tokens."""
    found = [Piece(key=piece.key, prompt=piece.prompt, rows=[]) for _ in range(number)]
    for row in _longest_first(piece.rows):
        min(found, key=lambda one: one.tokens).rows.append(row)
    return [one for one in found if one.rows]


def _longest_first(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _deal_out(pieces: Sequence[Piece], num_parts: int) -> list[Part]:
    """The longest piece first, each to the part that is lightest with it."""
    parts = [Part() for _ in range(num_parts)]
    for piece in sorted(pieces, key=lambda one: (-one.tokens, one.rows[0])):
        own = piece.tokens - piece.prompt
        at = min(
            range(num_parts),
            key=lambda at: (
                parts[at].tokens + own + piece.prompt * (piece.key not in parts[at].pieces)
            ),
        )
        parts[at].add(piece)
    return parts


def _even_out(parts: list[Part]) -> None:
    """Move or swap rows between the heaviest part and a lighter one, as long as the heaviest becomes lighter."""
    for _ in range(MOVES_PER_PART * len(parts)):
        heavy, *others = sorted(parts, key=lambda part: -part.tokens)
        if not any(_relieve(heavy, light) for light in reversed(others)):
            return


def _relieve(heavy: Part, light: Part) -> bool:
    """Swap a row of `heavy` for one of `light`, or for none, so that the heavier of them becomes as light as it can."""
    given, taken = heavy.singles(light), light.singles(heavy)
    if not given:
        return False
    gone = np.array([[one.leaves for one in given], [one.costs for one in given]])
    come = np.array([[0, *(one.leaves for one in taken)], [0, *(one.costs for one in taken)]])
    heavy_after = heavy.tokens - gone[0][:, None] + come[1]
    light_after = light.tokens + gone[1][:, None] - come[0]
    after = np.maximum(heavy_after, light_after)
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


def balance(units: list[Unit], num_parts: int) -> list[list[Unit]]:
    """Deal units into parts of nearly equal tokens; the given order is kept within a part."""
    rows = list(chain.from_iterable(units))
    return [
        [[rows[index] for index in group] for group in part.groups()]
        for part in spread(pieces_of(rows), num_parts)
    ]


def deal(units: list[Unit], *, num_ranks: int, num_mini_batches: int) -> list[list[list[Unit]]]:
    """[rank][mini-batch] -> units. Mini-batches are consecutive runs of units, in prompt order.

    Where the units do not divide (groups were dropped or left out) sizes differ by one; with fewer units
    than mini-batches there are as many mini-batches as units. A unit may be split over ranks.
    """
    parts = min(num_mini_batches, len(units))
    edges = [len(units) * number // parts for number in range(parts + 1)]
    dealt = [balance(units[start:end], num_ranks) for start, end in pairwise(edges)]
    return [[mini_batch[rank] for mini_batch in dealt] for rank in range(num_ranks)]


class MicroBatchPlan:
    """Which rows share a micro-batch: the fewest micro-batches that keep the budget, or as many as are asked for.

    A micro-batch holds at most `max_tokens`; a row longer than that has one of its own.

    Example:
        plan = MicroBatchPlan(rows, max_tokens=8192)
        plan.stretch(5)  # another rank needs five
        plan.parts[0].groups()  # indices of rows by prompt, of the heaviest micro-batch
    """

    def __init__(self, rows: Sequence[TrainRow], max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.pieces = [small for piece in pieces_of(rows) for small in _within(piece, max_tokens)]
        self.parts = self._fewest()

    def stretch(self, num_parts: int) -> None:
        """Deal into `num_parts`, which must not be fewer than there are."""
        if num_parts > len(self.parts):
            parts = spread(self.pieces, num_parts)
            if not self._keeps_budget(parts):  # then what keeps it, with more room
                parts = self.parts + [Part() for _ in range(num_parts - len(self.parts))]
                _even_out(parts)
            self.parts = _heaviest_first(parts)

    def _fewest(self) -> list[Part]:
        if not self.pieces:
            return []
        sizes = [piece.tokens for piece in self.pieces if piece.tokens <= self.max_tokens]
        over_half = sum(2 * size > self.max_tokens for size in sizes)
        number = max(math.ceil(sum(sizes) / self.max_tokens), over_half)
        number += len(self.pieces) - len(sizes)
        while not self._keeps_budget(parts := spread(self.pieces, number)):
            number += 1
        return _heaviest_first(parts)

    def _keeps_budget(self, parts: list[Part]) -> bool:
        return all(part.tokens <= self.max_tokens or part.num_rows == 1 for part in parts)


def _within(piece: Piece, max_tokens: int) -> list[Piece]:
    """Cut a piece that is over the budget into pieces that are not; a single row stays what it is."""
    if piece.tokens <= max_tokens:
        return [piece]
    room = max(1, max_tokens - piece.prompt)
    found: list[Piece] = []
    for row in _longest_first(piece.rows):
        # Into the first that has room: the fewest pieces, for each costs a prompt.
        home = next((one for one in found if one.tokens - one.prompt + row[1] <= room), None)
        if home is None:
            found.append(home := Piece(key=piece.key, prompt=piece.prompt, rows=[]))
        home.rows.append(row)
    return found


def _heaviest_first(parts: list[Part]) -> list[Part]:
    """Ranks make their n-th micro-batch at the same time, so the n-th heaviest ones meet."""
    return sorted(parts, key=lambda part: (-part.tokens, part.groups()))


def with_shares(metrics: dict[str, float], units: list[Unit]) -> dict[str, float]:
    """The ranks' metrics of a step on these units, with shares in place of the tokens that they ran over.

    `train/lockstep_share`: of all ranks' time, the tokens that had to be run over; a prompt counts once, and a rank that
    has less than another waits. `train/tokens_saved_by_prefix`: of the tokens that the rows would have one by one.
    """
    rows = [row for unit in units for row in unit if row.weight and row.response_ids]
    alone = sum(len(row.prompt_ids) + len(row.response_ids) for row in rows)
    lockstep, packed = metrics.pop("tokens/lockstep"), metrics.pop("tokens/packed")
    return metrics | {
        "train/lockstep_share": packed_tokens(rows) / lockstep,
        "train/tokens_saved_by_prefix": 1 - packed / alone,
    }
