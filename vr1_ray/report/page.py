"""The report of one or several runs: one HTML file, to be opened from disk and sent alone.

Curves with stages and events, length by correctness, the browser of saved groups, settings, held-out results. Its size
is bounded: token colours are left out first, then groups, both evenly over the steps, and the page says how many.
"""

import functools
import secrets
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from vr1_ray.pictures import split_at_marks
from vr1_ray.report.frame import data_url, render
from vr1_ray.report.groups import PackedGroups, pack_groups
from vr1_ray.report.packing import Pictures, packed, packed_json
from vr1_ray.report.panels import curves_of, panels_of
from vr1_ray.report.records import ReportedRun
from vr1_ray.report.settings import settings_table
from vr1_ray.report.table import result_rows, stage_lines
from vr1_ray.types import Prompt

MAX_MB = 40.0
_ROUNDS = 6  # of leaving groups out; each reads them again


def write_report(
    path: Path,
    runs: Sequence[ReportedRun] = (),
    summary: dict[str, Any] | None = None,
    examples: Sequence[dict[str, Any]] = (),
    title: str = "Vision-R1 run",
    max_mb: float = MAX_MB,
) -> Path:
    """Write the page and return its path; at most `max_mb` megabytes of 1,000,000 bytes. It holds prompts and responses, for all
    who may read it.

    Raises ValueError if the page is larger than that without any group.

    Example:
        write_report(folder / "report.html", [run], summary, [{
            "prompt": prompt,  # a types.Prompt
            "responses": {"base": ("3", True, 2), "rl": ("<think> ...", True, 31)},  # text, correct, tokens
        }])
    """
    page = _fitting(runs, _held_out(summary or {}, examples), title, round(max_mb * 1e6))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(page, encoding="utf-8")
    return unfinished.replace(path)


def _fitting(runs: Sequence[ReportedRun], held_out: dict[str, Any], title: str, limit: int) -> str:
    share = 1.0
    for _ in range(_ROUNDS):
        pictures = Pictures()
        groups = [pack_groups(run, pictures, share) for run in runs]
        tokens = sum(len(text) for one in groups for text in one.tokens.values())
        page = _page(runs, groups, pictures, held_out, title, token_share=1.0)
        spare = limit - len(page.encode())
        if spare < 0 and tokens:
            kept = max((spare + tokens) / tokens, 0.0)
            page = _page(runs, groups, pictures, held_out, title, token_share=kept)
            spare = limit - len(page.encode())
        if spare >= 0:
            return page
        texts = sum(len(text) for one in groups for text in one.texts.values())
        if not texts:
            break
        # A little more than what is missing: what is left out is not of one size.
        share *= max(1.0 + 1.03 * spare / (texts + pictures.size), 0.0)
        if share < 1e-4:
            share = 0.0
    least = (limit - spare) / 1e6
    raise ValueError(
        f"max_mb: {limit / 1e6:g} is too small; the page needs {least:.1f} MB without any group, "
        "so give more (--max_mb), or report fewer runs"
    )


def _page(
    runs: Sequence[ReportedRun],
    groups: Sequence[PackedGroups],
    pictures: Pictures,
    held_out: dict[str, Any],
    title: str,
    *,
    token_share: float,
) -> str:
    curves = [curves_of(run) for run in runs]
    parts = {f"p{number}": text for number, text in enumerate(pictures.batches())}
    shown, notes = [], []
    for number, (run, packed_groups, own) in enumerate(zip(runs, groups, curves, strict=True)):
        parts |= {f"t{number}-{step}": text for step, text in packed_groups.texts.items()}
        steps = _evenly(sorted(packed_groups.tokens), token_share)
        parts |= {f"k{number}-{step}": packed_groups.tokens[step] for step in steps}
        shown.append(
            {"name": run.name, "kind": run.kind, **own, **packed_groups.index, "coloured": steps}
        )
        notes.append({"name": run.name, "lines": _left_out(run, packed_groups, steps)})
    index = {"runs": shown, "panels": panels_of(curves)}
    has_curves = bool(index["panels"]) or any(one.num_saved for one in groups)
    return render(
        "run.html",
        title=title,
        nonce=secrets.token_urlsafe(12),
        runs=[{"name": one.name, "kind": one.kind, "state": one.state} for one in runs],
        events=[{"run": run.name, "event": event} for run in runs for event in run.events],
        settings=settings_table(runs),
        has_curves=has_curves,
        has_groups=any(one.num_kept for one in groups),
        has_lengths=any(one.index["lengths"]["stages"] for one in groups),
        notes=notes,
        num_reduced=pictures.num_reduced,
        parts=parts,
        index=packed_json(index) if has_curves else "",
        plotly=_plotly() if has_curves else "",
        **held_out,
    )


def _evenly(steps: Sequence[int], share: float) -> list[int]:
    """That share of the steps, evenly over them."""
    return [
        step
        for number, step in enumerate(steps)
        if int((number + 1) * share + 1e-9) > int(number * share + 1e-9)
    ]


def _left_out(run: ReportedRun, groups: PackedGroups, coloured: Sequence[int]) -> list[str]:
    """What the run kept of its groups, and what of that the page does not hold."""
    lines = [run.saving] if run.saving else []
    if groups.num_kept < groups.num_saved:
        lines.append(
            f"{groups.num_saved - groups.num_kept:,} of {groups.num_saved:,} saved groups are left out, evenly over the "
            "steps, to keep the page within its size (--max_mb); the histogram of lengths counts all of them"
        )
    if len(coloured) < len(groups.tokens):
        lines.append(
            f"token colours are in {len(coloured):,} of {len(groups.tokens):,} steps, to keep the page within its size "
            "(--max_mb)"
        )
    if groups.num_lost_pictures:
        lines.append(f"{groups.num_lost_pictures:,} pictures could not be read any more")
    return lines


def _held_out(summary: dict[str, Any], examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    head, *rows = result_rows(summary)
    return {
        "stage_lines": stage_lines(summary),
        "head": head,
        "rows": rows,
        "examples": [_example(one) for one in examples],
    }


def _example(example: dict[str, Any]) -> dict[str, Any]:
    prompt: Prompt = example["prompt"]
    return {
        "pictures": [data_url(image.as_shown().data) for image in prompt.images],
        "question": "".join(split_at_marks(prompt.question)).strip(),
        "answer": prompt.answer,
        "responses": [
            {
                "label": label.replace("_", " "),
                "text": text,
                "verdict": "right" if is_correct else "wrong",
                "tokens": tokens,
            }
            for label, (text, is_correct, tokens) in example["responses"].items()
        ],
    }


@functools.cache
def _plotly() -> str:
    """plotly.js as the package ships it, compressed: unpacked by the page before its first curve."""
    return packed((files("plotly") / "package_data" / "plotly.min.js").read_bytes())
