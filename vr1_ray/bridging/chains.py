"""Reading a reasoner's reply: the thought, and the answer it ends with.

The thought may come apart from the text, inside `<think> </think>`, or be all of the text up to its last
statement of the answer (a model that is no R1).
"""

import re
from dataclasses import dataclass

from vr1_ray.bridging.rows import Reply

_FINAL = re.compile(
    r"(?:\*\*)?\s*final answer\s*(?:\*\*)?\s*:?\s*(?:\*\*)?\s*([^\n]+)", re.IGNORECASE
)
_BLOCK = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ANSWER_IS = re.compile(r"answer\s*(?:\*\*)?\s*(?:is|:|=)\s*:?\s*([^\n]{1,200})", re.IGNORECASE)
_MAX_SHORT = 80  # characters of a final text that is taken as the answer itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A reply as a chain of thought. `answer` is "" if the reply doesn't come to one.

    Example:
        Chain(thought="Okay, ... The answer is 3.", answer="3", is_finished=True)
    """

    thought: str
    answer: str
    is_finished: bool


def read_chain(reply: Reply) -> Chain:
    """The chain of a reply; a cut one, or one that never leaves its thought, is not finished."""
    thought, final = _split(reply)
    answer = final_answer(final)
    is_finished = reply.finish_reason not in ("length", "content_filter") and bool(final.strip())
    return Chain(thought=thought.strip(), answer=answer, is_finished=is_finished)


def final_answer(text: str) -> str:
    """The answer that a final text gives: what it marks as such, else all of a short one, else ""."""
    text = text.strip()
    if blocks := _BLOCK.findall(text):
        text = blocks[-1].strip()
    marked = _FINAL.findall(text)
    boxed = _boxed(text)
    if marked:
        answer = _boxed(marked[-1]) or marked[-1]
    elif boxed:
        answer = boxed
    elif stated := _ANSWER_IS.findall(text):
        answer = stated[-1]
    else:
        answer = text if len(text) <= _MAX_SHORT and "\n" not in text else ""
    answer = answer.strip().strip("*").strip()
    return re.sub(r"(?<![.\d])\.$|(?<=\d)\.$", "", answer).strip().strip("*").strip()


def _split(reply: Reply) -> tuple[str, str]:
    text = reply.text
    if reply.thought is not None:
        return reply.thought, text.partition("</think>")[2] or text
    if "</think>" in text:
        thought, _, final = text.rpartition("</think>")
        return thought.partition("<think>")[2] if "<think>" in thought else thought, final
    if "<think>" in text:
        return text.partition("<think>")[2], ""
    found = list(_FINAL.finditer(text)) or list(re.finditer(r"\\boxed\{", text))
    if not found:
        return text, ""
    start = max(text.rfind("\n", 0, found[-1].start()) + 1, 0)
    before = text[:start] if text[:start].strip() else text[: found[-1].start()]
    return before, text[len(before) :]


def _boxed(text: str) -> str:
    r"""The inside of the last \boxed{...}, braces balanced; "" without one."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return ""
    depth, begin = 1, start + len("\\boxed{")
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[begin:place]
    return ""
