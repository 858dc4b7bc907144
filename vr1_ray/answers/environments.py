r"""Matrices, determinants and systems of LaTeX as plain text, for the answer checker.

A matrix is its rows in brackets, whatever brackets it was set in; one row or one column is a vector. A
determinant is a number: up to order three it is written out (`ad - bc`). A norm stays what it says. The rows of
`cases` and `aligned` are a list.
"""

import re

_MAX_DETERMINANT = 3
_MAX_CELLS_CHARS = 150
_CASES = re.compile(
    r"\\begin\{(cases|aligned|gathered)\}(.*?)\\end\{\1\}"
    r"|\\left\s*\\\{\s*\\begin\{array\}\s*(?:\{[lcr| ]*\})?(.*?)\\end\{array\}\s*\\right\s*\.",
    re.DOTALL,
)
_MATRIX = re.compile(
    r"(?P<det>\\det\s*)?(?P<before>(?:\\left)?\s*[(\[|]\s*)?"
    r"\\begin\{(?P<name>[bpvVB]?matrix|smallmatrix|array)\}\s*(?:\{[lcr| ]*\})?(?P<body>.*?)\\end\{(?P=name)\}"
    r"(?P<after>\s*(?:\\right)?\s*[)\]|])?",
    re.DOTALL,
)
_ROW_END = re.compile(r"\\\\(?:\s*\[[^\]]{0,8}\])?")


def plain_environments(text: str) -> str:
    """`text` with its matrices as rows in brackets, determinants as products and systems as lists."""
    text = _CASES.sub(_system, text)
    return _MATRIX.sub(_matrix, text)


def _system(match: re.Match[str]) -> str:
    rows = _ROW_END.split((match[2] or match[3]).replace("&", " "))
    return ", ".join(row.strip().rstrip(",.;") for row in rows if row.strip())


def _matrix(match: re.Match[str]) -> str:
    before, after = match["before"] or "", match["after"] or ""
    rows = [
        [cell.strip() for cell in row.split("&")]
        for row in _ROW_END.split(match["body"])
        if row.strip()
    ]
    is_framed = bool(before and after)
    is_determinant = (
        bool(match["det"]) or match["name"] == "vmatrix" or (is_framed and "|" in before)
    )
    if match["name"] == "Vmatrix":
        written = f" norm {_rows_in_brackets(rows)}"
    else:
        written = _determinant(rows) if is_determinant else _rows_in_brackets(rows)
    return written if is_framed else f"{before}{written}{after}"


def _rows_in_brackets(rows: list[list[str]]) -> str:
    if len(rows) == 1 or all(len(row) == 1 for row in rows):
        return "(" + ", ".join(cell for row in rows for cell in row) + ")"
    return "[" + ", ".join(f"[{', '.join(row)}]" for row in rows) + "]"


def _determinant(rows: list[list[str]]) -> str:
    order = len(rows)
    is_square = all(len(row) == order and all(row) for row in rows)
    is_small = sum(len(cell) for row in rows for cell in row) <= _MAX_CELLS_CHARS
    if not (is_square and is_small and 1 < order <= _MAX_DETERMINANT):
        return f" determinant {_rows_in_brackets(rows)}"
    return f"({_expanded(rows)})"


def _expanded(rows: list[list[str]]) -> str:
    """Along the first row, the signs in turn."""
    if len(rows) == 1:
        return f"({rows[0][0]})"
    terms = []
    for column, cell in enumerate(rows[0]):
        minor = [row[:column] + row[column + 1 :] for row in rows[1:]]
        terms.append(f"{'-' if column % 2 else '+'}({cell})*({_expanded(minor)})")
    return "".join(terms)
