"""Plain rows of your own: `{"question", "answer", "image" or "images", "id"?, "pseudo_cot"?}` a line.

The schema is this project's; images are paths below the image root. Further columns go to the row's metadata.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.bridging.readers.base import BadRow, SourceRow, converted, image_paths
from vr1_ray.data.refusals import DataError

_COLUMNS = ("id", "question", "answer", "image", "images", "pseudo_cot")


def read_jsonl(path: Path) -> Iterator[SourceRow | BadRow]:
    """The rows of a .jsonl file or of a .json array."""
    return converted(path, _row)


def _row(number: int, fields: dict[str, Any]) -> SourceRow:
    question, answer = fields.get("question"), fields.get("answer")
    if not isinstance(question, str) or not isinstance(answer, str | int | float):
        raise DataError("question, answer: a row needs both, as text")
    return SourceRow(
        number=number,
        source_id=str(fields.get("id", number)),
        question=question,
        answer=str(answer),
        images=image_paths(fields.get("images", fields.get("image"))),
        pseudo_cot=str(fields.get("pseudo_cot") or ""),
        metadata={key: value for key, value in fields.items() if key not in _COLUMNS},
    )
