"""Who trains which rows: over ranks, and over the micro-batches of each. Plain Python, no tensors yet.

The rows of one prompt share it, so a prompt's tokens count once wherever its rows are together. They are dealt as one
piece, or as a few where that balances better than it costs second prompts (`pieces.py`).
"""

import math
from collections.abc import Sequence
from itertools import chain, pairwise

from vr1_ray.training.pieces import (
    Part,
    Piece,
    even_out,
    filled,
    heaviest,
    packed_tokens,
    pieces_of,
    spread,
)
from vr1_ray.training.rows import Unit
from vr1_ray.types import TrainRow

CHAINS = 8  # tried where micro-batches are few; many become even without
FEW_PARTS = 16
TRIES = 4  # for fewer micro-batches than come of filling one after the other


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
        self.pieces: list[Piece] = []
        self.alone: list[Part] = []  # rows over the budget
        for piece in pieces_of(rows):
            fitting = [row for row in piece.rows if piece.prompt + row[1] <= max_tokens]
            if fitting:
                self.pieces.append(piece.of(fitting))
            for row in piece.rows:
                if row not in fitting:
                    self.alone.append(Part())
                    self.alone[-1].add(piece.of([row]))
        self.shared = self._fewest()
        self.parts = _heaviest_first(self.alone + self.shared)

    def stretch(self, num_parts: int) -> None:
        """Deal into `num_parts`, which must not be fewer than there are."""
        more = num_parts - len(self.parts)
        if more <= 0:
            return
        parts = self._dealt(len(self.shared) + more)
        if heaviest(parts) > self.max_tokens:  # then what keeps it, with more room
            parts = self.shared + [Part() for _ in range(more)]
            even_out(parts)
        self.shared = parts
        self.parts = _heaviest_first(self.alone + self.shared)

    def _fewest(self) -> list[Part]:
        """Those that even parts need, or else as many as are needed where each is filled in turn."""
        if not self.pieces:
            return []
        enough = filled(self.pieces, self.max_tokens)
        least = math.ceil(sum(piece.tokens for piece in self.pieces) / self.max_tokens)
        step = max(1, math.ceil((len(enough) - least) / TRIES))
        for number in (*range(least, len(enough), step), len(enough)):
            parts = self._dealt(number)
            if heaviest(parts) <= self.max_tokens:
                return parts
        even_out(enough)
        return enough

    def _dealt(self, number: int) -> list[Part]:
        return spread(self.pieces, number, num_chains=CHAINS if number <= FEW_PARTS else 2)


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
