"""The data card: what a dataset was made of, what was dropped and why, and samples to look at.

`data_card.md` for a repository, `data_card.html` with the pictures inside, to be sent alone. Every text of
dataset and models is escaped: what a model writes can't become markup.
"""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vr1_ray.bridging.output import response_of
from vr1_ray.bridging.rows import Outcome
from vr1_ray.config import BridgeConfig
from vr1_ray.pictures import shown_file

PAPER_TABLE_4 = {  # words in Vision-R1-cold's 200K chains (arXiv 2503.06749, Table 4)
    "Wait": 585_719,
    "Hmm": 75_853,
    "Mistake": 26_697,
    "Alternatively": 188_187,
    "Check": 100_148,
}
_PAPER_CHAINS = 200_000
_BAR = 40  # characters of the longest bar of the histogram
_CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0 auto;max-width:960px;padding:24px}
h1{font-size:24px} h2{font-size:18px;margin:28px 0 10px} table{border-collapse:collapse;background:#fff}
th,td{padding:4px 16px;text-align:right;border:1px solid #e2e8f0} th:first-child,td:first-child{text-align:left}
.card{display:flex;gap:20px;background:#fff;border:1px solid #e2e8f0;padding:14px;margin:0 0 12px}
.card img{width:168px;border:1px solid #e2e8f0} pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:6px 0}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A titled table: its head and its rows.

    Example:
        Table(title="Rules", head=("rule", "dropped"), rows=[("looping", "12")])
    """

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def write_card(
    folder: Path,
    counts: dict[str, Any],
    config: BridgeConfig,
    samples: Sequence[tuple[Outcome, list[Path]]],
    *,
    num_read: int,
    num_bad: int,
) -> tuple[Path, Path]:
    """Write data_card.md and data_card.html into the dataset's folder; returns their paths."""
    tables = card_tables(counts, config, num_read=num_read, num_bad=num_bad)
    markdown, page = folder / "data_card.md", folder / "data_card.html"
    text = ["# Cold-start data by modality bridging", *(_as_markdown(table) for table in tables)]
    text += ["## Samples", *(_sample_as_markdown(*sample) for sample in samples)]
    markdown.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    body = "<h1>Cold-start data by modality bridging</h1>" + "".join(map(_as_html, tables))
    body += "<h2>Samples</h2>" + "".join(_sample_as_html(*sample) for sample in samples)
    page.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data card</title><style>{_CSS}</style>'
        f"</head><body>{body}</body></html>\n",
        encoding="utf-8",
    )
    return markdown, page


def card_tables(
    counts: dict[str, Any], config: BridgeConfig, *, num_read: int, num_bad: int
) -> list[Table]:
    """All tables of the card."""
    stages = [("sources", str(num_read), str(num_read - num_bad))]
    stages += [(name, str(n["in"]), str(n["out"])) for name, n in counts["stages"].items()]
    stages.append(("rules", str(counts["stages"]["reasoning"]["out"]), str(counts["kept"])))
    words, kept = counts["reflection_words"], max(1, counts["kept"])
    longest = max((n for *_, n in counts["thought_words"]), default=1)
    return [
        Table(
            title="Made with",
            head=("part", "value"),
            rows=[
                ("model that sees the images", config.mllm.model),
                ("reasoner", config.reasoner.model),
                ("pseudo-CoT", config.pseudo_cot),
                ("answer shown to the reasoner", "yes" if config.reasoner_sees_answer else "no"),
                ("sources", ", ".join(f"{s.reader}: {s.path}" for s in config.sources)),
            ],
        ),
        Table(title="Rows in and out", head=("stage", "in", "out"), rows=stages),
        Table(
            title="Rules",
            head=("reason", "rows dropped first by it", "chains it would drop"),
            rows=[
                (name, str(n), str(counts["rule_hits"].get(name, "")))
                for name, n in counts["dropped"].items()
            ],
        ),
        Table(
            title="Rewrites",
            head=("rewrite", "chains changed"),
            rows=[(name, str(n)) for name, n in counts["rewritten"].items()],
        ),
        Table(
            title="Self-reflection (Table 4 of the paper)",
            head=("word", "count", "per chain", "per chain, Vision-R1-cold"),
            rows=[
                (word, str(n), f"{n / kept:.2f}", f"{PAPER_TABLE_4[word] / _PAPER_CHAINS:.2f}")
                for word, n in words.items()
            ],
        ),
        Table(
            title="Length of the thoughts, in words",
            head=("words", "chains", ""),
            rows=[
                (f"{first} to {last}", str(n), "#" * round(_BAR * n / longest))
                for first, last, n in counts["thought_words"]
            ],
        ),
        _usage(counts["usage"]),
    ]


def _usage(usage: dict[str, dict[str, Any]]) -> Table:
    return Table(
        title="Requests, tokens, cost",
        head=(
            "stage",
            "replies",
            "new in this run",
            "prompt tokens",
            "completion tokens",
            "cost",
        ),
        rows=[
            (
                stage,
                str(used["replies"]),
                str(used["new_replies"]),
                str(used["prompt_tokens"]),
                str(used["completion_tokens"]),
                f"{used['cost']:.4f}",
            )
            for stage, used in usage.items()
        ],
    )


def _as_markdown(table: Table) -> str:
    cells = [table.head, tuple("---" for _ in table.head), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return f"## {table.title}\n\n" + "\n".join(lines)


def _as_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.head)
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<h2>{html.escape(table.title)}</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _sample_as_markdown(outcome: Outcome, paths: list[Path]) -> str:
    pictures = " ".join(f"![picture](images/{path.name})" for path in paths)
    quoted = "\n".join(f"    {line}" for line in response_of(outcome).split("\n"))
    question = "\n".join(f"    {line}" for line in outcome.row.text.split("\n"))
    return f"{pictures}\n\n{question}\n\nReference answer `{outcome.row.answer}`:\n\n{quoted}"


def _sample_as_html(outcome: Outcome, paths: list[Path]) -> str:
    pictures = "".join(
        f'<img alt="picture" src="data:image;base64,{base64.b64encode(shown_file(path.read_bytes())).decode()}">'
        for path in paths
    )
    return (
        f'<div class="card"><div>{pictures}</div><div><b>{html.escape(outcome.row.text)}</b> reference answer '
        f"{html.escape(outcome.row.answer)}<pre>{html.escape(response_of(outcome))}</pre></div></div>"
    )
