"""One self-contained HTML page of a run: the table, the curves, and prompts with what each policy answered.

Pictures are embedded, so the file can be sent alone. Every text of dataset and model is escaped: what a
policy writes can't become markup.
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vr1_ray.pictures import split_at_marks
from vr1_ray.report.table import result_rows, stage_lines
from vr1_ray.types import Prompt

_CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0 auto;max-width:1080px;padding:24px}
h1{font-size:24px;margin:0 0 4px} h2{font-size:18px;margin:32px 0 12px} .quiet{color:#64748b;margin:2px 0}
table{border-collapse:collapse;background:#fff;border:1px solid #e2e8f0} th,td{padding:6px 18px;text-align:right}
th:first-child,td:first-child{text-align:left} tr+tr td{border-top:1px solid #e2e8f0}
td:last-child{font-weight:600} .curves{width:100%;border:1px solid #e2e8f0;background:#fff}
.card{display:flex;gap:20px;background:#fff;border:1px solid #e2e8f0;border-radius:8px;padding:16px;margin:0 0 14px}
.card>.figure{flex:0 0 190px} .figure img{width:190px;image-rendering:auto;border:1px solid #e2e8f0;margin-bottom:6px}
.card>.words{flex:1;min-width:0} .question{font-weight:600;margin:0} .response{border-left:4px solid;padding:4px 12px;
margin:10px 0 0;background:#f8fafc} .right{border-color:#16803c} .wrong{border-color:#c2322d}
.response pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace;margin:2px 0}
.label{font-size:13px;font-weight:600} .right .label{color:#16803c} .wrong .label{color:#c2322d}
@media(max-width:640px){.card{flex-direction:column}}
"""
_SIGNATURES = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def write_report(
    folder: Path,
    summary: dict[str, Any],
    curves_png: Sequence[Path] = (),
    examples: Sequence[dict[str, Any]] = (),
    title: str = "Vision-R1 run",
) -> Path:
    """Writes `report.html` into a run folder and returns its path.

    Example:
        write_report(folder, summary, [folder / "curves.png"], [{
            "prompt": prompt,  # a types.Prompt
            "responses": {"base": ("3", True, 2), "rl": ("<think> ...", True, 31)},  # text, correct, tokens
        }])
    """
    table = _table(result_rows(summary))
    lines = "".join(f'<p class="quiet">{html.escape(line)}</p>' for line in stage_lines(summary))
    curves = "".join(
        f'<img class="curves" alt="curves" src="{_data_url(path.read_bytes())}">'
        for path in curves_png
    )
    cards = "".join(_card(example) for example in examples)
    body = f"<h1>{html.escape(title)}</h1>{lines}<h2>Held-out results</h2>{table}"
    body += f"<h2>Training</h2>{curves}" if curves else ""
    body += f"<h2>Examples</h2>{cards}" if cards else ""
    path = Path(folder) / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head><body>{body}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _table(rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[1:]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _card(example: dict[str, Any]) -> str:
    prompt: Prompt = example["prompt"]
    pictures = "".join(
        f'<img alt="figure" src="{_data_url(image.as_shown().data)}">' for image in prompt.images
    )
    question = html.escape("".join(split_at_marks(prompt.question)).strip())
    responses = "".join(
        _response(label, *response) for label, response in example["responses"].items()
    )
    return (
        f'<div class="card"><div class="figure">{pictures}</div><div class="words"><p class="question">{question}</p>'
        f'<p class="quiet">reference answer: {html.escape(prompt.answer)}</p>{responses}</div></div>'
    )


def _response(label: str, text: str, correct: bool, tokens: int) -> str:
    verdict = "right" if correct else "wrong"
    name = html.escape(label.replace("_", " "))
    return (
        f'<div class="response {verdict}"><span class="label">{name}: {verdict}, {tokens} tokens</span>'
        f"<pre>{html.escape(text)}</pre></div>"
    )


def _data_url(data: bytes) -> str:
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
