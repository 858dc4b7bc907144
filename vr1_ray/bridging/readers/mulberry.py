"""Mulberry-SFT, `mulberry_sft.json` of huggingface.co/datasets/HuanjinYao/Mulberry-SFT.

A row is `{"images": "cauldron/clevr/images/1.png", "messages": [{"role": "user"|"assistant", "content"}]}`,
`images` one path below `mulberry_images/`; the response has the sections

    ### Image Description: ..  ### Rationales: ..  ### Let's think step by step.  ### Step 1: ..
    ### The final answer is: ..

Where this was read: `messages`, the roles and the sections in Mulberry's own repository
(github.com/HJYao00/Mulberry at a49cab5, README.md and comcts/code/data_construction.py). Known only from other
people's code that reads the real file: that it is one JSON array of about 486 MB (so it is streamed), that
`images` is a string, and that the question may stand after the instruction to write these sections. Not
confirmed: the number of rows (260 to 273 thousand), and the spelling of every image folder.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.bridging.readers.base import BadRow, SourceRow, converted, first_pair, image_paths
from vr1_ray.data.refusals import DataError

_FINAL = "The final answer is:"
_DESCRIPTION = "### Image Description:"


def read_mulberry(path: Path) -> Iterator[SourceRow | BadRow]:
    """The rows of mulberry_sft.json; description, rationales and steps become the pseudo-CoT."""
    return converted(path, _row)


def _row(number: int, fields: dict[str, Any]) -> SourceRow:
    asked, response = first_pair(fields)
    thought, found, answer = response.rpartition(_FINAL)
    if not found or not answer.strip():
        raise DataError(f"messages: the response has no {_FINAL!r}")
    return SourceRow(
        number=number,
        source_id=str(fields.get("id", number)),
        question=question_of(asked),
        answer=answer.strip().strip("#").strip(),
        images=image_paths(fields.get("images", fields.get("image"))),
        pseudo_cot=_pseudo_cot(thought),
    )


def question_of(asked: str) -> str:
    """The question without the instruction before it, which ends with the heading of the last section."""
    if _DESCRIPTION in asked and "### The final answer is:" in asked:
        asked = asked.rpartition("### The final answer is:")[2]
    return re.sub(r"^\s*(?:<image>\s*)?Question:\s*", "", asked.strip()).strip()


def _pseudo_cot(thought: str) -> str:
    if _DESCRIPTION not in thought:
        return ""
    caption, *rest = thought.partition(_DESCRIPTION)[2].split("###", 1)
    steps = "###" + rest[0] if rest else ""
    reasoning = re.sub(r"^###\s*", "", steps, flags=re.MULTILINE).strip()
    return f"Caption: {caption.strip()}\nReasoning: {reasoning}" if reasoning else ""
