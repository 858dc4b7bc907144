"""LLaVA-CoT-100k, `train.jsonl` of huggingface.co/datasets/Xkev/LLaVA-CoT-100k.

A row is `{"id", "image", "conversations": [{"from": "human"|"gpt", "value"}]}`, the response in four blocks:

    <SUMMARY> .. </SUMMARY>  <CAPTION> .. </CAPTION>  <REASONING> .. </REASONING>  <CONCLUSION> B </CONCLUSION>

Where this was read: the fields on the dataset's card; the tags and the one image per row in LLaVA-CoT's own
code (github.com/PKU-YuanGroup/LLaVA-CoT at 081cc3f, dataset_generation/generate.py and
train/datasets/cot_dataset.py). Known only from other people's code that reads the real file: that some rows
have several turns, that questions have no `<image>` mark, blank lines between the blocks. Not confirmed: the
number of rows, and the image folders of DocVQA, PISC and CLEVR.

Of a row with several turns the first pair is taken: later questions may lean on it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vr1_ray.bridging.readers.base import BadRow, SourceRow, converted, first_pair, image_paths
from vr1_ray.data.refusals import DataError


def read_llava_cot(path: Path) -> Iterator[SourceRow | BadRow]:
    """The rows of train.jsonl; CAPTION and REASONING become the pseudo-CoT, CONCLUSION the answer."""
    return converted(path, _row)


def _row(number: int, fields: dict[str, Any]) -> SourceRow:
    question, response = first_pair(fields)
    answer = _block("CONCLUSION", response)
    if not answer:
        raise DataError("conversations: the response has no <CONCLUSION> block")
    caption, reasoning = _block("CAPTION", response), _block("REASONING", response)
    has_both = bool(caption and reasoning)
    return SourceRow(
        number=number,
        source_id=str(fields.get("id", number)),
        question=question,
        answer=answer,
        images=image_paths(fields.get("image")),
        pseudo_cot=f"Caption: {caption}\nReasoning: {reasoning}" if has_both else "",
    )


def _block(tag: str, text: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return found[1].strip() if found else ""
