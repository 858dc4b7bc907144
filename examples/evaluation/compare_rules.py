"""Judges the same saved responses to figure_math under every benchmark's rules, and lists where they differ from ours.

    python examples/evaluation/compare_rules.py runs/quickstart/*/evaluations/*.json

Each question is laid out in each schema that can hold it (hub form), each response is judged by the benchmark's rules
and by `accuracy_of` (our checker), and every difference is counted under the rule that made it. A benchmark whose rule
is the checker can't differ.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that it runs from anywhere

from layouts import LAYOUTS, Item, item_of_row  # noqa: E402

from vr1_ray.answers import accuracy_of  # noqa: E402
from vr1_ray.data.images import ImageReader  # noqa: E402
from vr1_ray.evaluation import BENCHMARKS, find_answer, make_benchmark  # noqa: E402
from vr1_ray.evaluation.base import Question  # noqa: E402
from vr1_ray.evaluation.rows import Row  # noqa: E402
from vr1_ray.figure_math.dataset import encode_png  # noqa: E402
from vr1_ray.figure_math.diagnosis import figure_from_json  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One response that a benchmark's rule judges otherwise than our checker."""

    benchmark: str
    rule: str
    by_benchmark: bool
    reference: str
    response: str


def compare(name: str, cases: Iterable[tuple[Item, str, bool]]) -> tuple[int, list[Difference]]:
    """(responses judged, differences) of one benchmark; a case is (item, response, whether it was cut)."""
    number, found = 0, []
    for item, response, is_cut in cases:
        question = question_of(name, item)
        if question is None:
            continue
        number += 1
        verdict = make_benchmark(name).check(question, find_answer(response, is_cut=is_cut))
        # What the response was sampled for: a letter where options were offered, else the value.
        ours = bool(accuracy_of(response, item.letter if item.choices else item.answer))
        if verdict.is_correct != ours:
            found.append(
                Difference(
                    benchmark=name,
                    rule=verdict.rule,
                    by_benchmark=verdict.is_correct,
                    reference=question.answer,
                    response=response,
                )
            )
    return number, found


def question_of(name: str, item: Item) -> Question | None:
    """An item in a benchmark's schema, or None where the schema has no place for it."""
    rows: Sequence[dict[str, Any]] = LAYOUTS[name]([item])
    if not rows:
        return None
    columns = dict(rows[0])
    if name == "mm_math":  # its picture is a file
        columns["image"] = item.png
    if name == "we_math":
        columns |= {"key": "2steps_multi"}
    images = ImageReader(None, 64_000_000)
    return make_benchmark(name).question(Row(columns, images, table="row", number=item.number))


def report(cases: Sequence[tuple[Item, str, bool]]) -> str:
    """A line per benchmark, and below it a line per rule that differs, with an example."""
    lines = []
    for name in BENCHMARKS:
        number, found = compare(name, cases)
        lines.append(f"{name}: {number} responses, {len(found)} verdicts differ from the checker's")
        counts = Counter((one.rule, one.by_benchmark) for one in found)
        for (rule, is_right), count in counts.most_common():
            one = next(d for d in found if (d.rule, d.by_benchmark) == (rule, is_right))
            said = one.response.strip()[-60:].replace("\n", " ")
            word = "right" if is_right else "wrong"
            lines.append(
                f"  {count:4d} x {word} by rule '{rule}': reference {one.reference!r}, said {said!r}"
            )
    return "\n".join(lines)


def saved_cases(paths: Iterable[str]) -> list[tuple[Item, str, bool]]:
    """The responses of evaluations of figure_math (runs/*/evaluations/LABEL.json)."""
    cases = []
    for path in paths:
        for number, row in enumerate(json.loads(Path(path).read_text())["rows"], start=1):
            png = encode_png(figure_from_json(row["metadata"]["figure"]))
            cases.append((item_of_row(number, row, png), row["response"], row["truncated"]))
    return cases


if __name__ == "__main__":
    print(report(saved_cases(sys.argv[1:])))
