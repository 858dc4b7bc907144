"""What a text is worth, for official.py: expressions, numbers and boxes, read without any of vr1_ray's own readers."""

import ast
import math
import operator
import re

_OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_NAMES = {"pi": math.pi, "oo": math.inf, "x": 0.7319, "y": 1.3127, "a": 0.5173, "b": 0.8911}
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\sqrt\s*\{([^{}]*)\}"), r"((\1)**0.5)"),
    (re.compile(r"\\pi|π"), "pi"), (re.compile(r"\\infty"), "oo"), (re.compile(r"\\cdot|\\times"), "*"),
    (re.compile(r"\^\s*\{([^{}]*)\}"), r"**(\1)"), (re.compile(r"\^"), "**"), (re.compile(r"\s+"), ""),
    (re.compile(r"(?<=[\d)xyab])(?=[(xyab]|pi)"), "*"),
)  # fmt: skip


def value(text: str) -> float | None:
    """What a LaTeX or plain expression is worth (letters at one fixed point); None if it is none."""
    for _ in range(3):
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
    try:
        return float(_worth(ast.parse(text, mode="eval").body))
    except (SyntaxError, ValueError, KeyError, TypeError, ZeroDivisionError, OverflowError):
        return None


def _worth(node: ast.AST) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return _NAMES[node.id]
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_worth(node.left), _worth(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_worth(node.operand))
    raise ValueError("no expression")


def number(text: str) -> float | None:
    """As Python's float reads it."""
    try:
        return float(text)
    except ValueError:
        return None


def boxes(text: str) -> list[str] | None:
    """The contents of all `\\boxed{}`; None if one is not closed."""
    found = []
    for start in re.finditer(r"\\boxed\{", text):
        depth, end = 1, start.end()
        while end < len(text) and depth:
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        if depth:
            return None
        found.append(text[start.end() : end - 1])
    return found
