"""The pieces that every page is made of: frame, style, table, pictures. Pages say what stands in them.

What comes from data sets and models is escaped by `text`: what a policy writes can't become markup.
"""

import base64
import html
from collections.abc import Sequence

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0 auto;max-width:1080px;padding:24px}
h1{font-size:24px;margin:0 0 4px} h2{font-size:18px;margin:30px 0 12px} .quiet{color:#64748b;margin:2px 0}
table{border-collapse:collapse;background:#fff;border:1px solid #e2e8f0} th,td{padding:5px 17px;text-align:right}
th:first-child,td:first-child{text-align:left} tr+tr td{border-top:1px solid #e2e8f0} a{color:#2563eb}
.card{display:flex;gap:20px;background:#fff;border:1px solid #e2e8f0;border-radius:8px;padding:16px;margin:0 0 14px}
.figure{flex:0 0 220px} .figure img{max-width:220px;border:1px solid #e2e8f0;margin-bottom:6px}
.words{flex:1;min-width:0} .question{font-weight:600;margin:0} .response{border-left:4px solid;padding:4px 12px;
margin:10px 0 0;background:#f8fafc} .right{border-color:#16803c} .wrong{border-color:#c2322d}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace;margin:4px 0}
h1,h2,p,a,li{overflow-wrap:anywhere} .scroll{overflow-x:auto;max-width:100%} .scroll>pre{white-space:pre;overflow-wrap:normal}
@media(max-width:640px){body{padding:14px}h1{font-size:20px}th,td{padding:5px 9px}.card{flex-direction:column;padding:12px;gap:10px}
.figure{flex:none}.figure img{max-width:100%}.words{flex:none;width:100%}}
"""
_SIGNATURES = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def text(content: str) -> str:
    """Text as it is, safe between tags and inside an attribute."""
    return html.escape(content, quote=True)


def page(title: str, body: str, *, style: str = "") -> str:
    """A whole HTML page; `style` is what this one needs beyond the common rules."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head><body>{body}</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; one that is wider than the screen scrolls by itself, not the page."""
    cells = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def text_table(content: str) -> str:
    """A table that is a text already, in columns of signs; it scrolls as `table` does."""
    return f'<div class="scroll"><pre>{text(content)}</pre></div>'


def card(pictures: Sequence[str], words: str) -> str:
    """A card: pictures at the side, by file or data URL, and markup beside them."""
    images = "".join(f'<img loading="lazy" alt="picture" src="{text(src)}">' for src in pictures)
    return f'<div class="card"><div class="figure">{images}</div><div class="words">{words}</div></div>'


def data_url(data: bytes) -> str:
    """A picture's file inside the page."""
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
