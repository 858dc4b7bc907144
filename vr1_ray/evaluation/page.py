"""A page to browse failures: pictures, question, response, what was read from it and by which rule it failed.

Pictures are files beside the page (`../images/`), loaded when they come into view, so a page can hold thousands.
Every text of data set and model is escaped: what a policy writes can't become markup.
"""

import html
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

_CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0 auto;max-width:1080px;padding:24px}
h1{font-size:24px;margin:0 0 4px} h2{font-size:17px;margin:28px 0 10px} .quiet{color:#64748b;margin:2px 0;font-size:13px}
.card{display:flex;gap:20px;background:#fff;border:1px solid #e2e8f0;border-radius:8px;padding:16px;margin:0 0 12px}
.figure{flex:0 0 240px} .figure img{max-width:240px;border:1px solid #e2e8f0;margin-bottom:6px}
.words{flex:1;min-width:0} pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace;margin:4px 0}
.question{font-weight:600} .response{border-left:4px solid #c2322d;padding:4px 12px;background:#f8fafc}
a{color:#2563eb} @media(max-width:640px){.card{flex-direction:column}}
"""
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
        f'<a href="#rule{number}">{html.escape(rule)} ({len(found)})</a>'
        for number, (rule, found) in enumerate(groups)
    )
    sections = "".join(
        f'<h2 id="rule{number}">{html.escape(rule)} ({len(found)})</h2>{"".join(map(_card, found))}'
        for number, (rule, found) in enumerate(groups)
    )
    title = f"{result['name']}: {len(failures)} of {len(rows)} responses wrong"
    body = f"<h1>{html.escape(title)}</h1><pre>{html.escape(table)}</pre><p>{links}</p>{sections}"
    path.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head><body>{body}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _card(row: Mapping[str, Any]) -> str:
    pictures = "".join(
        f'<img loading="lazy" alt="figure" src="{IMAGES}/{html.escape(name, quote=True)}">'
        for name in row["images"]
    )
    question = html.escape(row["prompt"].replace("<image>", "").strip())
    facts = [
        f"reference: {row['answer']}",
        f"read: {row['extracted'] or 'nothing'}",
        f"{row['tokens']} tokens{', cut' if row['is_cut'] else ''}",
        f"id {row['question_id']}, sample {row['sample']}",
        *row["labels"],
    ]
    return (
        f'<div class="card"><div class="figure">{pictures}</div><div class="words">'
        f'<pre class="question">{question}</pre><p class="quiet">{html.escape(" · ".join(facts))}</p>'
        f'<div class="response"><pre>{html.escape(row["response"])}</pre></div></div></div>'
    )
