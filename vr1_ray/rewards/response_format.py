"""The format of Vision-R1's responses: <think> ... </think><answer> ... </answer> (arXiv 2503.06749, 3.1).

Strict: each of the four lower-case tags occurs exactly once in the whole response, in this order, with
nothing but white space before, between and after the blocks. `<Think>` or `<think id=1>` is not a tag:
it can't stand in for one, and inside a block it is text. An empty chain of thought passes, an empty
answer does not.
"""

import re
from dataclasses import dataclass

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_RESPONSE = re.compile(
    r"\s*<think>(?P<thought>.*)</think>\s*<answer>(?P<answer>.*)</answer>\s*", re.DOTALL
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedResponse:
    """The two blocks of a well-formed response, white space at their ends removed.

    Example:
        parse_response("<think> 1 + 1 </think><answer> 2 </answer>").answer  # "2"
    """

    thought: str
    answer: str


def parse_response(text: str) -> ParsedResponse | None:
    """The blocks of a well-formed response, or None."""
    if any(text.count(tag) != 1 for tag in TAGS):
        return None
    match = _RESPONSE.fullmatch(text)
    if match is None or not match["answer"].strip():
        return None
    return ParsedResponse(thought=match["thought"].strip(), answer=match["answer"].strip())
