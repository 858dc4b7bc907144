"""Who trains which rows: over ranks, and over the micro-batches of each. Plain Python, no tensors yet.

The rows of one prompt share it, so a prompt's tokens count once wherever its rows are together. They are dealt as one
piece, the longest piece first, each to the lightest part; where parts are still uneven, rows of the heaviest move to the
lightest, if they are at least as many tokens as the second prompt that this costs. All of it is deterministic.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from vr1_ray.training.rows import Unit, prompt_of
from vr1_ray.types import TrainRow

Rows = list[tuple[int, int]]  # (index of a row, its response tokens)
MOVES_PER_PART = 8


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

    @property
    def num_rows(self) -> int:
        return sum(len(piece.rows) for piece in self.pieces.values())

    def groups(self) -> list[list[int]]:
        """Indices of its rows, those of one prompt together, in the order they were given."""
        return sorted([index for index, _ in sorted(piece.rows)] for piece in self.pieces.values())


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
    """Deal pieces into parts of nearly equal tokens. No part exceeds the mean by more than the longest piece."""
    parts = [Part() for _ in range(num_parts)]
    lightest = [(0, place) for place in range(num_parts)]
    for piece in sorted(pieces, key=lambda one: (-one.tokens, one.rows[0])):
        place = lightest[0][1]
        parts[place].add(piece)
        heapq.heapreplace(lightest, (parts[place].tokens, place))
    _even_out(parts)
    return parts


def _even_out(parts: list[Part]) -> None:
    """Move rows from the heaviest part to the lightest, as long as the heaviest becomes lighter."""
    for _ in range(MOVES_PER_PART * len(parts)):
        heavy = max(parts, key=lambda part: part.tokens)
        light = min(parts, key=lambda part: part.tokens)
        moves = [
            (max(heavy_after, light_after), piece.key, piece)
            for piece, heavy_after, light_after in _moves(heavy, light)
        ]
        if not moves or min(moves)[0] >= heavy.tokens:
            return
        piece = min(moves, key=lambda move: move[:2])[2]
        heavy.remove(piece)
        light.add(piece)


def _moves(heavy: Part, light: Part) -> list[tuple[Piece, int, int]]:
    """Of each piece the rows to move, and the tokens of both parts then."""
    found = []
    for piece in heavy.pieces.values():
        second = 0 if piece.key in light.pieces else piece.prompt
        room = (heavy.tokens - light.tokens - second) // 2
        rows: Rows = []
        moved = 0
        for index, length in sorted(piece.rows, key=lambda row: (-row[1], row[0])):
            if moved + length <= room:
                rows.append((index, length))
                moved += length
        is_whole = len(rows) == len(piece.rows)
        if rows and (is_whole or moved >= second):
            left = heavy.tokens - moved - (piece.prompt if is_whole else 0)
            some = Piece(key=piece.key, prompt=piece.prompt, rows=rows)
            found.append((some, left, light.tokens + moved + second))
    return found


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
        over_half = sum(2 * piece.tokens > self.max_tokens for piece in self.pieces)
        total = sum(piece.tokens for piece in self.pieces)
        number = max(1, min(math.ceil(total / self.max_tokens), len(self.pieces)), over_half)
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
    for row in sorted(piece.rows, key=lambda row: (-row[1], row[0])):
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
