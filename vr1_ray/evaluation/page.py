"""A page to browse failures: pictures, question, response, what was read from it and by which rule it failed.

Pictures are files beside the page (`../images/`), loaded when they come into view, so a page can hold thousands.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from vr1_ray.report.markup import card, page, text, text_table

IMAGES = "../images"


def write_page(
    path: Path, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], table: str
) -> Path:
    """Write the page of one benchmark's failures, grouped by rule, and return its path."""
    failures = sorted(
        (row for row in rows if not row["is_correct"]), key=lambda row: str(row["rule"])
    )
    groups = [(rule, list(found)) for rule, found in groupby(failures, key=lambda row: row["rule"])]
    links = " · ".join(
        f'<a href="#rule{number}">{text(rule)} ({len(found)})</a>'
        for number, (rule, found) in enumerate(groups)
    )
    sections = "".join(
        f'<h2 id="rule{number}">{text(rule)} ({len(found)})</h2>{"".join(map(_card, found))}'
        for number, (rule, found) in enumerate(groups)
    )
    title = f"{result['name']}: {len(failures)} of {len(rows)} responses wrong"
    body = f"<h1>{text(title)}</h1>{text_table(table)}<p>{links}</p>{sections}"
    path.write_text(page(title, body), encoding="utf-8")
    return path


def _card(row: Mapping[str, Any]) -> str:
    facts = [
        f"reference: {row['answer']}",
        f"read: {row['extracted'] or 'nothing'}",
        f"{row['tokens']} tokens{', cut' if row['is_cut'] else ''}",
        f"id {row['question_id']}, sample {row['sample']}",
        *row["labels"],
    ]
    return card(
        [f"{IMAGES}/{name}" for name in row["images"]],
        f'<pre class="question">{text(row["prompt"].replace("<image>", "").strip())}</pre>'
        f'<p class="quiet">{text(" · ".join(facts))}</p>'
        f'<div class="response wrong"><pre>{text(row["response"])}</pre></div>',
    )
