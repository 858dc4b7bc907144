"""Every text of the package that tells a user what to do: found by reading the sources, so that none is forgotten.

A cure is a sentence, or a part of one after `;`, `,` or `:`, that begins with an order ("give a parquet file").
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "vr1_ray"
ORDERS = (
    "add|ask|attach|check|choose|convert|copy|cut|derive|disable|divide|download|drop|embed|fetch|free|give|install|"
    "keep|leave|list|lower|make|mend|move|name|pass|point|put|raise|remove|rename|restore|resume|run|save|scale|set|"
    "shrink|start|take|turn|use|wait|write"
)
CURE = re.compile(rf"(?:[;.,:] (?:then |or |and )?)(?:{ORDERS})\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A text with a cure, {} for each of its values.

    Example:
        Message(file="config/loading.py", text="override {} has no '=': write key=value, such as seed=1")
    """

    file: str
    text: str

    def is_in(self, told: str) -> bool:
        """Whether a message that was told is this one, its values filled in."""
        place = 0
        for part in self.text.split("{}"):
            place = told.find(part, place)
            if place < 0:
                return False
            place += len(part)
        return True


def messages() -> list[Message]:
    """All of the package, in the order of its files."""
    found = [
        Message(file=str(path.relative_to(PACKAGE)), text=text)
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if CURE.search(text)
    ]
    return list(dict.fromkeys(found))


def _texts(tree: ast.Module) -> list[str]:
    """The texts of a module but docstrings: each f-string whole, with {} for its values."""
    left_out: set[int] = set()
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))  # a docstring
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in ast.walk(node)}
            found.append(
                "".join(
                    part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
                )
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in left_out
        ):
            found.append(node.value)
    return found


UNTRIED = Path(__file__).with_name("untried.txt")


def untried() -> dict[tuple[str, str], str]:
    """(file, text) -> why no case brings it about: the lines `FILE | TEXT | REASON` of untried.txt."""
    found = {}
    for line in UNTRIED.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            file, text, reason = line.split(" | ")
            found[file, ast.literal_eval(text)] = reason.strip()
    return found
