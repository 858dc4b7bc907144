"""What went wrong in a wrong response to a `figure_math` question: the drawing tells.

A response's looks are the read-outs in it ("Top: ...", "Bars: ...", "Rectangle: ..."), compared with what was
drawn. Kinds, the first that holds:

- `cut`: the response hit the length cap
- `format`: it ended by itself, but not in Vision-R1's format
- `no read-out`: it answered without reading the figure out
- `misread figure`: no look reads the figure right
- `wrong second look`: a look reads it right, a later one, which the answer follows, does not
- `slip after a right look`: the last look is right, and the count, the sum or the answer is not
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from vr1_ray.figure_math.drawing import (
    BarFigure,
    Figure,
    GridFigure,
    RectangleFigure,
    read_out,
)

_LOOK = re.compile(r"Top: [^.]*\. Middle: [^.]*\. Bottom: [^.]*\.|Bars: [^.]*\.|Rectangle: [^.]*\.")


def diagnose(response: str, *, truncated: bool, well_formed: bool, figure: str) -> str:
    """The kind of error of a response known to be wrong; `figure` is the row's JSON of what was drawn."""
    if truncated:
        return "cut"
    if not well_formed:
        return "format"
    looks = _LOOK.findall(response)
    if not looks:
        return "no read-out"
    expected = read_out(figure_from_json(figure))
    is_right = [look == expected for look in looks]
    if not any(is_right):
        return "misread figure"
    return "slip after a right look" if is_right[-1] else "wrong second look"


def error_of(row: Mapping[str, Any]) -> str:
    """For `eval.diagnosis`: the kind of error of an evaluated question; "" if its row has no figure."""
    if "figure" not in row["metadata"]:
        return ""
    return diagnose(
        row["response"],
        truncated=row["truncated"],
        well_formed=row["well_formed"],
        figure=row["metadata"]["figure"],
    )


def figure_from_json(text: str) -> Figure:
    """What `figure_to_json` wrote."""
    fields = json.loads(text)
    kind = fields.pop("kind")
    if kind == "grid":
        return GridFigure(cells=tuple(fields["cells"]))
    if kind == "bars":
        return BarFigure(bars=tuple((colour, height) for colour, height in fields["bars"]))
    return RectangleFigure(**fields)
