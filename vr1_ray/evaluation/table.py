"""The figures of an evaluation as text: our scores with intervals beside the paper's published rows."""

from collections.abc import Sequence
from typing import Any

from vr1_ray.evaluation.published import FOOTNOTE, PUBLISHED

PAPER_LABEL = "PROTOCOL PAPER: up to 5 samples on a broken format, images of at most 512 pixels, 5 calls a judgement"


def result_text(results: Sequence[dict[str, Any]], settings: dict[str, Any]) -> str:
    """A block per benchmark: what was asked and how, then a row per score."""
    blocks = [_settings_line(settings)]
    for result in results:
        blocks.append("\n".join([*_head(result), *_score_lines(result), *_notes(result)]))
    return "\n\n".join(blocks)


def _settings_line(settings: dict[str, Any]) -> str:
    temperature = settings["temperature"]
    how = (
        "greedy"
        if temperature == 0
        else f"temperature {temperature:g}, top_p {settings['top_p']:g}"
    )
    judge = f"judge {settings['judge']}" if settings["judge"] else "no judge"
    line = f"{settings['model']}: {how}, at most {settings['max_response_tokens']} tokens, {judge}"
    return f"{PAPER_LABEL}\n{line}" if settings["protocol"] == "paper" else line


def _head(result: dict[str, Any]) -> list[str]:
    part = (
        ""
        if result["num_questions"] == result["num_published"]
        else f" of {result['num_published']}"
    )
    samples = result["num_samples"]
    times = f", {samples} samples each: mean@{samples}" if samples > 1 else ""
    return [f"{result['name']}: {result['num_questions']}{part} questions{times}"]


def _score_lines(result: dict[str, Any]) -> list[str]:
    published = PUBLISHED.get(result["benchmark"], {})
    models = list(published)
    header = ["", "ours", "95 % interval", "of", *models]
    rows = [header]
    for name, score in shown_scores(result):
        value = "-" if score["value"] is None else f"{100 * score['value']:.1f}"
        interval = score["interval"]
        span = "-" if interval is None else f"{100 * interval[0]:.1f} - {100 * interval[1]:.1f}"
        others = [_published(published[model].get(name)) for model in models]
        rows.append([name, value, span, str(score["num"]), *others])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return ["-" * len(lines[0]), *lines]


def shown_scores(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The headline, then the scores the table has room for: the main ones first."""
    scores = result["scores"]
    names = [result["headline"], *(name for name in result["main"] if name in scores)]
    names += [name for name in scores if name not in names]
    return [(name, scores[name]) for name in names]


def _published(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _notes(result: dict[str, Any]) -> list[str]:
    notes = []
    if PUBLISHED.get(result["benchmark"]):
        notes.append(f"published rows were made with the paper's protocol; {FOOTNOTE}")
    if result["judged"]:
        without = result["headline_without_judge"]
        figure = "-" if without is None else f"{100 * without:.1f}"
        notes.append(
            f"{result['judged']} responses decided by the judge; if these were wrong: {figure}"
        )
    if result["undecided"]:
        notes.append(f"{result['undecided']} responses that no rule could decide count as wrong")
    if result["missing_judgements"]:
        notes.append(f"{result['missing_judgements']} of them for want of a judgement")
    if result["not_asked"]:
        notes.append(f"{result['not_asked']} questions too long to ask count as wrong")
    if result["cut"]:
        notes.append(f"{result['cut']} responses met the budget")
    if result["asked_again"]:
        notes.append(f"{result['asked_again']} questions were sampled more than once")
    if result["warning"]:
        notes.append(f"WARNING: {result['warning']}")
    return [f"  {note}" for note in notes]
