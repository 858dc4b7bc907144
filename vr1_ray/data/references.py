r"""A cell as the reference answer that the checker reads: numbers as they are spelled, and what they are wrapped in.

7, 2.50, true                      "7", "2.50", "True"
<answer> Final Answer:D </answer>  "D"; so does an assistant's whole response with one such block
\boxed{12}, The area is \boxed{12}.  "12"
Two and one.\n#### 3               "3"
["A", "C"]                         "A, C": all of them, in any order, if the checker takes them so
{"ground_truth": 7, ...}           "7"
NaN, null, other lists and structs refused
"""

import math
import re
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Any

from vr1_ray.answers import compare
from vr1_ray.data.json_cells import json_value, written
from vr1_ray.data.marks import check_signs
from vr1_ray.data.refusals import DataError, shortened

_BLOCK = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)
_PREFIX = re.compile(r"\s*Final Answer\s*:\s*", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_LAST_LINE = re.compile(r"(?:^|\n)#### ?([^\n#]+)\Z")  # as GSM8K ends its solutions
_SIMPLE = re.compile(
    r"-?\d{1,15}(?:\.\d{1,15})?|[A-Z]"
)  # plainly readable; the checker takes its time
MAX_RESPONSE_ANSWER = (
    100  # a response without an <answer> block that is longer is no answer but a text
)


def reference_answer(cell: Any, column: str) -> str:
    """The reference answer of a cell, "" for none. Raises DataError for what can't be one."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        check_signs(cell, column)
        return _text_answer(cell, column)
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float):
        if getattr(cell, "written", None) is None and not math.isfinite(cell):
            raise DataError(
                f"{column}: {cell} is no reference answer (NaN is how pandas writes an empty cell); write the "
                "answer, or drop the row"
            )
        return written(cell)
    if isinstance(cell, Decimal | date | time):
        return str(cell)
    if isinstance(cell, dict):
        return _struct_answer(cell, column)
    if isinstance(cell, list | tuple):
        return _list_answer(list(cell), column)
    raise DataError(
        f"{column}: {shortened(cell)} ({type(cell).__name__}) is no reference answer; write it as a text"
    )


def final_answer(response: str) -> str | None:
    """What the last <answer> block of a text says; None without one."""
    blocks = _BLOCK.findall(response)
    return _PREFIX.sub("", blocks[-1], count=1).strip() if blocks else None


def response_answer(response: str, column: str) -> str:
    """The answer of a written response: of its block or box, or the whole of a short one. Raises DataError."""
    answer = _text_answer(response, column)
    if len(answer) > MAX_RESPONSE_ANSWER:
        raise DataError(
            f"{column}: {shortened(response)} has no <answer> block or \\boxed{{}}, so its answer isn't known; give "
            "the row an `answer`"
        )
    return answer


@lru_cache(maxsize=8192)
def is_readable(answer: str) -> bool:
    """Whether the checker takes a response that gives this very answer for right."""
    if _SIMPLE.fullmatch(answer):
        return True
    return compare(f"Final Answer:{answer}", answer).is_match


def _text_answer(text: str, column: str) -> str:
    block = final_answer(text)
    if block is not None:
        return _text_answer(block, column) if _BLOCK.search(block) is None else block
    stripped = text.strip()
    last = _LAST_LINE.search(stripped)
    if last is not None:
        return last[1].strip()
    if stripped.startswith("{") and '"ground_truth"' in stripped:
        try:
            struct = json_value(stripped)
        except DataError as error:
            raise DataError(f"{column}: {shortened(stripped)}: {error}") from error
        except ValueError:
            return stripped  # a text with braces, such as a set
        return _struct_answer(struct, column)
    boxes = list(_BOXED.finditer(stripped))
    inside = _braced(stripped, boxes[0].end()) if len(boxes) == 1 else None
    return stripped if inside is None else inside.strip()


def _braced(text: str, start: int) -> str | None:
    """What stands between the brace before `start` and its partner; None without one."""
    depth = 1
    for place in range(start, len(text)):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return text[start:place]
    return None


def _struct_answer(cell: Any, column: str) -> str:
    if isinstance(cell, dict) and "ground_truth" in cell:
        return reference_answer(cell["ground_truth"], f"{column}.ground_truth")
    raise DataError(
        f"{column}: the struct {shortened(cell)} is no reference answer; write it as a text, or as "
        '{"ground_truth": ...}'
    )


def _list_answer(cell: list[Any], column: str) -> str:
    is_flat = all(isinstance(item, str | int | float | Decimal) for item in cell)
    items = [reference_answer(item, column) for item in cell] if is_flat else []
    together = ", ".join(items)
    if len(items) == 1 and items[0]:
        return items[0]
    is_known = (
        len(items) > 1
        and all(items)
        and not any(re.search(r"[,;]|\s(?:and|or)\s", item) for item in items)
        and compare(", ".join(reversed(items)), together).is_match
        and not compare(items[0], together).is_match
    )
    if not is_known:
        raise DataError(
            f"{column}: the list {shortened(cell)} is no reference answer that the checker knows; write it as one text"
        )
    return together
