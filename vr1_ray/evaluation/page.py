"""A page to browse failures: pictures, question, response, what was read from it and by which rule it failed.

Pictures are files beside the page (`../images/`), loaded when they come into view, so a page can hold thousands.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from vr1_ray.report.frame import render

IMAGES = "../images"


def write_page(
    path: Path, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], table: str
) -> Path:
    """Write the page of one benchmark's failures, grouped by rule, and return its path."""
    failures = sorted(
        (row for row in rows if not row["is_correct"]), key=lambda row: str(row["rule"])
    )
    sections = [
        {"rule": rule, "rows": [_shown(row) for row in found]}
        for rule, found in groupby(failures, key=lambda row: row["rule"])
    ]
    title = f"{result['name']}: {len(failures)} of {len(rows)} responses wrong"
    page = render("benchmark.html", title=title, table=table, sections=sections)
    path.write_text(page, encoding="utf-8")
    return path


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = [
        f"reference: {row['answer']}",
        f"read: {row['extracted'] or 'nothing'}",
        f"{row['tokens']} tokens{', cut' if row['is_cut'] else ''}",
        f"id {row['question_id']}, sample {row['sample']}",
        *row["labels"],
    ]
    return {
        "pictures": [f"{IMAGES}/{name}" for name in row["images"]],
        "question": row["prompt"].replace("<image>", "").strip(),
        "facts": " · ".join(facts),
        "response": row["response"],
    }
