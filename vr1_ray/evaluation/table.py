"""The figures of an evaluation as text: our scores with intervals beside the paper's published rows."""

from collections.abc import Sequence
from typing import Any

from vr1_ray.evaluation.published import FOOTNOTE, PUBLISHED
from vr1_ray.wording import counted

PAPER_RULES = "PROTOCOL PAPER: its harness's rules on responses made elsewhere"
PAPER_LABEL = "PROTOCOL PAPER: up to 5 samples on a broken format, images of at most 512 pixels, 5 calls a judgement"


def result_text(results: Sequence[dict[str, Any]], settings: dict[str, Any]) -> str:
    """A block per benchmark: what was asked and how, then a row per score."""
    blocks = [_settings_line(settings)]
    for result in results:
        blocks.append("\n".join([*_head(result), *_score_lines(result), *_notes(result)]))
    return "\n\n".join(blocks)


def _settings_line(settings: dict[str, Any]) -> str:
    judge = f"judge {settings['judge']}" if settings["judge"] else "no judge"
    if "responses" in settings:
        line = f"{settings['responses']}: responses made elsewhere, {judge}"
        return f"{PAPER_RULES}\n{line}" if settings["protocol"] == "paper" else line
    temperature = settings["temperature"]
    how = (
        "greedy"
        if temperature == 0
        else f"temperature {temperature:g}, top_p {settings['top_p']:g}"
    )
    line = f"{settings['model']}: {how}, at most {settings['max_response_tokens']} tokens, {judge}"
    return f"{PAPER_LABEL}\n{line}" if settings["protocol"] == "paper" else line


def _head(result: dict[str, Any]) -> list[str]:
    part = (
        ""
        if result["num_questions"] == result["num_published"]
        else f" of {result['num_published']}"
    )
    samples = result["num_samples"]
    times = f", {counted(samples, 'sample')} each: mean@{samples}" if samples > 1 else ""
    return [f"{result['name']}: {result['num_questions']}{part} questions{times}"]


def _score_lines(result: dict[str, Any]) -> list[str]:
    published = PUBLISHED.get(result["benchmark"], {})
    models = list(published)
    header = ["", "ours", "95 % interval", "of", "no answer", *models]
    rows = [header]
    for name, score in shown_scores(result):
        value = "-" if score["value"] is None else f"{100 * score['value']:.1f}"
        interval = score["interval"]
        span = "-" if interval is None else f"{100 * interval[0]:.1f} - {100 * interval[1]:.1f}"
        others = [_published(published[model].get(name)) for model in models]
        rows.append([name, value, span, str(score["num"]), str(score["no_answer"]), *others])
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
    without = result["headline_without_judge"]
    figure = "-" if without is None else f"{100 * without:.1f}"
    head = result["scores"][result["headline"]]
    notes = [  # (when, what)
        (
            PUBLISHED.get(result["benchmark"]),
            f"published rows were made with the paper's protocol; {FOOTNOTE}",
        ),
        (
            result["judged"],
            f"{counted(result['judged'], 'response')} decided by the judge; if these were wrong: {figure}",
        ),
        (
            result["undecided"],
            f"{result['undecided']} responses that no rule could decide count as wrong",
        ),
        (
            head["no_answer"],
            "no answer: responses in which none was found; they count as wrong",
        ),
        (result["missing_judgements"], f"{result['missing_judgements']} judgements are missing"),
        (
            result["not_asked"],
            f"{counted(result['not_asked'], 'question')} too long to ask count as wrong",
        ),
        (
            result["no_response"],
            f"{result['no_response']} responses that the endpoint did not give count as wrong",
        ),
        (result["cut"], f"{counted(result['cut'], 'response')} met the budget"),
        (result["asked_again"], f"{result['asked_again']} questions were sampled more than once"),
        *((note, note) for note in result.get("files", ())),
        (result["warning"], f"WARNING: {result['warning']}"),
    ]
    return [f"  {text}" for is_worth_saying, text in notes if is_worth_saying]
