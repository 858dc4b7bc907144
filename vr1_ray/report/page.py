"""One self-contained HTML page of a run: the table, the curves, and prompts with what each policy answered.

Pictures are embedded, so the file can be sent alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vr1_ray.pictures import split_at_marks
from vr1_ray.report.markup import card, data_url, page, table, text
from vr1_ray.report.table import result_rows, stage_lines
from vr1_ray.types import Prompt

_STYLE = """
td:last-child{font-weight:600} .curves{width:100%;border:1px solid #e2e8f0;background:#fff}
.label{font-size:13px;font-weight:600} .right .label{color:#16803c} .wrong .label{color:#c2322d}
"""


def write_report(
    folder: Path,
    summary: dict[str, Any],
    curves_png: Sequence[Path] = (),
    examples: Sequence[dict[str, Any]] = (),
    title: str = "Vision-R1 run",
) -> Path:
    """Writes `report.html` into a run folder and returns its path. It holds prompts and responses, for all who may read it.

    Example:
        write_report(folder, summary, [folder / "curves.png"], [{
            "prompt": prompt,  # a types.Prompt
            "responses": {"base": ("3", True, 2), "rl": ("<think> ...", True, 31)},  # text, correct, tokens
        }])
    """
    head, *rows = result_rows(summary)
    lines = "".join(f'<p class="quiet">{text(line)}</p>' for line in stage_lines(summary))
    curves = "".join(
        f'<img class="curves" alt="curves" src="{data_url(path.read_bytes())}">'
        for path in curves_png
    )
    cards = "".join(_card(example) for example in examples)
    body = f"<h1>{text(title)}</h1>{lines}"
    body += f"<h2>Held-out results</h2>{table(head, rows)}" if rows else ""
    body += f"<h2>Training</h2>{curves}" if curves else ""
    body += f"<h2>Examples</h2>{cards}" if cards else ""
    path = Path(folder) / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(title, body, style=_STYLE), encoding="utf-8")
    return path


def _card(example: dict[str, Any]) -> str:
    prompt: Prompt = example["prompt"]
    question = text("".join(split_at_marks(prompt.question)).strip())
    responses = "".join(
        _response(label, *response) for label, response in example["responses"].items()
    )
    return card(
        [data_url(image.as_shown().data) for image in prompt.images],
        f'<p class="question">{question}</p><p class="quiet">reference answer: {text(prompt.answer)}</p>{responses}',
    )


def _response(label: str, response: str, correct: bool, tokens: int) -> str:
    verdict = "right" if correct else "wrong"
    name = text(label.replace("_", " "))
    return (
        f'<div class="response {verdict}"><span class="label">{name}: {verdict}, {tokens} tokens</span>'
        f"<pre>{text(response)}</pre></div>"
    )
