"""The data card: what a dataset was made of, what was dropped and why, and samples to look at.

`data_card.md` for a repository, `data_card.html` with the pictures inside, to be sent alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vr1_ray.bridging.output import response_of
from vr1_ray.bridging.rows import Outcome
from vr1_ray.config import BridgeConfig
from vr1_ray.pictures import shown_file
from vr1_ray.report.frame import data_url, render

PAPER_TABLE_4 = {  # words in Vision-R1-cold's 200K chains (arXiv 2503.06749, Table 4)
    "Wait": 585_719,
    "Hmm": 75_853,
    "Mistake": 26_697,
    "Alternatively": 188_187,
    "Check": 100_148,
}
_PAPER_CHAINS = 200_000
_BAR = 40  # characters of the longest bar of the histogram


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
    markdown, html = folder / "data_card.md", folder / "data_card.html"
    parts = ["# Cold-start data by modality bridging", *map(_as_markdown, tables)]
    parts += ["## Samples", *(_sample_as_markdown(*sample) for sample in samples)]
    markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    page = render(
        "data_card.html",
        title="Cold-start data by modality bridging",
        tables=tables,
        samples=[_shown(*sample) for sample in samples],
    )
    html.write_text(page, encoding="utf-8")
    return markdown, html


def card_tables(
    counts: dict[str, Any], config: BridgeConfig, *, num_read: int, num_bad: int
) -> list[Table]:
    """All tables of the card."""
    stages = [("sources", str(num_read), str(num_read - num_bad))]
    stages += [(name, str(n["in"]), str(n["out"])) for name, n in counts["stages"].items()]
    stages.append(("rules", str(counts["stages"]["reasoning"]["out"]), str(counts["kept"])))
    words, kept = counts["reflection_words"], counts["kept"]
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
                (
                    word,
                    str(n),
                    f"{n / kept:.2f}" if kept else "-",
                    f"{PAPER_TABLE_4[word] / _PAPER_CHAINS:.2f}",
                )
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


def _sample_as_markdown(outcome: Outcome, paths: list[Path]) -> str:
    pictures = " ".join(f"![picture](images/{path.name})" for path in paths)
    quoted = "\n".join(f"    {line}" for line in response_of(outcome).split("\n"))
    question = "\n".join(f"    {line}" for line in outcome.row.text.split("\n"))
    return f"{pictures}\n\n{question}\n\nReference answer `{outcome.row.answer}`:\n\n{quoted}"


def _shown(outcome: Outcome, paths: list[Path]) -> dict[str, Any]:
    return {
        "pictures": [data_url(shown_file(path.read_bytes())) for path in paths],
        "question": outcome.row.text,
        "answer": outcome.row.answer,
        "response": response_of(outcome),
    }
