"""What every page is made from: the templates in `templates/`, and what they share. Runs, benchmarks and bridging all use it.

Jinja escapes everything that a template prints: what data sets and models write can't become markup. Templates of the
folder are the only markup there is; what a page's scripts show they set as text, never as markup.
"""

import base64
import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_SIGNATURES = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def render(template: str, **context: Any) -> str:
    """A whole page: a file of `templates/` with these values, escaped.

    Raises jinja2.UndefinedError for a value that the template names and does not get.

    Example:
        render("benchmark.html", title="mathvista", table="...", sections=[])
    """
    return _environment().get_template(template).render(**context)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vr1_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_url(data: bytes) -> str:
    """A picture's file inside the page."""
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
