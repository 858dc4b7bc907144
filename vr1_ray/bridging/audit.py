"""What a rehearsal shows: how well the rules tell good chains from faulty ones, by the servers' ledgers.

A chain is at fault if its reasoner's ledger says so. A misread figure is no such fault: the chain agrees with
itself and with the answer, and no rule that sees text alone can know. How many kept chains read the drawing
right is its own figure, from the chains themselves: the last read-out of each against what was drawn.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vr1_ray.bridging.rows import Outcome
from vr1_ray.figure_math.diagnosis import figure_from_json
from vr1_ray.figure_math.drawing import read_out
from vr1_ray.figure_math.rehearsal_script import read_outs


def read_ledger(path: Path) -> tuple[dict[str, tuple[str, str]], int]:
    """Reply id -> (fault made in it, answer meant), of replies that were sent; and the number of requests in all."""
    faults, num_requests = {}, 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            num_requests += 1
            if not entry["connection"]:
                faults[entry["reply_id"]] = (entry["fault"], entry["answer"])
    return faults, num_requests


def audit(outcomes: Iterable[Outcome], faults: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Precision and recall on the faults that text shows, a row per fault, and consistency with the drawing.

    precision: of the kept chains, those without a fault; recall: of the chains without one, those kept. A
    chain that misses the reference answer because its figure was misread is faulty. Of chains with no
    read-out nothing is known, and they are counted apart.
    """
    found: Counter[tuple[str, bool]] = Counter()
    drawing: Counter[str] = Counter()
    for outcome in outcomes:
        for candidate in outcome.candidates:
            fault, answer = faults[candidate.reply_id]
            if not fault and answer != outcome.row.answer:
                fault = "wrong_by_misreading"
            found[fault, not candidate.dropped_by] += 1
        if outcome.chosen is not None:
            drawing[_agreement(outcome)] += 1
    kept = sum(n for (_, is_kept), n in found.items() if is_kept)
    good = found["", True] + found["", False]
    table = {
        fault or "good": {"kept": found[fault, True], "dropped": found[fault, False]}
        for fault in sorted({fault for fault, _ in found})
    }
    known = drawing["agrees"] + drawing["differs"]
    return {
        "precision": _share(found["", True], kept),
        "recall": _share(found["", True], good),
        "by_fault": table,
        "drawing_consistency": _share(drawing["agrees"], known),
        "drawing": dict(drawing),
    }


def _share(part: int, whole: int) -> float | None:
    """None where there is nothing to take a share of: no chain was kept, or none was sound."""
    return part / whole if whole else None


def _agreement(outcome: Outcome) -> str:
    """Whether the chain's last read-out "agrees" with the drawing, "differs", or there is "no read-out"."""
    assert outcome.chosen is not None
    figures = read_outs(outcome.chosen.thought)
    if not figures:
        return "no read-out"
    drawn = figure_from_json(outcome.row.metadata["figure"])
    return "agrees" if read_out(figures[-1]) == read_out(drawn) else "differs"
