"""Numbers of another base in answers: "204_5", "204_{5}", "204 base 5".

The base is part of the number, since the question asked for it: 204_5 equals neither 204 nor 54. Base ten is the
number itself.
"""

import re

from vr1_ray.answers.tokens import MAX_DIGITS

_BASE = r"(?P<base>\d{1,2})"
_FORM = re.compile(
    r"\(?\s*(?P<digits>[0-9][0-9A-Za-z]*|[A-F][0-9A-F]*[0-9][0-9A-F]*)\s*\)?\s*"
    rf"(?:_\s*[{{(]{{0,2}}\s*{_BASE}\s*[)}}]{{0,2}}|,?\s*\(?\s*(?:in\s+)?base[\s-]+{_BASE.replace('base', 'named')}\s*\)?)",
)


def read_based(text: str) -> tuple[str, str] | None:
    """(value in base ten, "base 5") of "204_5"; None for anything else."""
    form = _FORM.fullmatch(text)
    if form is None or len(form["digits"]) > MAX_DIGITS:
        return None
    base = int(form["base"] or form["named"])
    if not 2 <= base <= 36:
        return None
    try:
        value = int(form["digits"], base)
    except ValueError:
        return None
    return str(value), "" if base == 10 else f"base {base}"
