"""Finding the answer in a response by rules, and saying which rule found it. No benchmark, no reference answer.

In order: the last `<answer>` block, the last `\\boxed{}`, what the last mark states ("Final Answer:", "option C is
correct", a JSON answer; `endings.py` has the table), a short response as a whole, what the last line concludes.
What follows a closed `</think>` is read before the thought. A response cut before any of these has no answer.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from vr1_ray.answers.latex import boxed
from vr1_ray.answers.reading import Quantity, Relation, read
from vr1_ray.answers.relation import named_values
from vr1_ray.answers.text import MAX_ANSWER_CHARS, plain_text
from vr1_ray.answers.words import commitments
from vr1_ray.evaluation.endings import last_conclusion, last_mark

MAX_WHOLE_CHARS = 200  # a longer response without a mark is no answer by itself
MAX_TAIL_CHARS = 2000  # where a statement is looked for
MAX_FINAL_WORDS = 4  # a sentence as a whole may answer in words that rules don't read
MAX_BOXES = 24
NOT_FOUND = "no answer found"
NO_ANSWER = frozenset(
    {NOT_FOUND, "cut, no answer", "empty response", "empty answer block", "empty box"}
)
"""Rules of responses that answer nothing that could be read."""
_BLOCK = re.compile(r"<answer>((?:(?!<answer>).)*)</answer>", re.DOTALL)
_FINAL = re.compile(r"^\s*\**\s*final\s+answers?\s*\**\s*:?\s*\**", re.IGNORECASE)
_AFTER = re.compile(r"\s*</?(?:think|answer)>.*$|\s*\**\s*$", re.DOTALL | re.IGNORECASE)
_LEADING_MARKS = re.compile(r"^(?:\*\*|__|#+\s+|>\s+)+\s*")
_ENCLOSED = (("<<", ">>"), ("[[", "]]"), ("<", ">"), ("`", "`"), ("\\(", "\\)"), ("\\[", "\\]"))
_OPENING = re.compile(r"\W*(yes|no)\b\s*(?:[,.:;!*—–\n-]|because\b|since\b|$)", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
_LATEX_SPACE = re.compile(r"\\[,;! ]|\\(?:left|right|displaystyle)(?![A-Za-z])")
_NUMBER_INSIDE = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")
_REMARK = re.compile(
    r"\s+[(\[](?P<inside>[^()\[\]]*)[)\]]$|\s*\((?P<chinese>[^()]*[\u4e00-\u9fff][^()]*)\)$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a response answers. `is_final` says the response commits to it: a rule's "wrong" is then the last word.

    Example:
        find_answer("<think> 1 + 1 </think><answer> Final Answer:2 </answer>")
        # Answer(text="2", how="answer block", is_final=True)
    """

    text: str
    how: str
    is_final: bool = True
    boxes: tuple[str, ...] = ()  # contents of all boxes where the answer was found, in order


def find_answer(response: str, *, is_cut: bool = False) -> Answer:
    """The answer of a response; `is_cut` says that it met its budget. Linear in its length, never raises."""
    start = response.rfind("<answer>")
    if start >= 0 and (block := _BLOCK.match(response, start)):
        text = _FINAL.sub("", block[1]).strip()
        mark = last_mark(text) if text.startswith("{") else None  # a JSON answer
        text = mark.text if mark else _clean(text)
        how = "answer block" if text else "empty answer block"
        return Answer(text=text, how=how, boxes=_boxes(block[1]))
    if is_cut:
        return Answer(text="", how="cut, no answer")
    _, thought, after = response.rpartition("</think>")
    if thought and after.strip():
        found = _without_block(after)
        if found.how != NOT_FOUND:
            return found
    return _without_block(response)


def _without_block(response: str) -> Answer:
    tail = response[-MAX_TAIL_CHARS:]
    if "\\boxed" in tail or "\\fbox" in tail:
        text = boxed(tail[max(tail.rfind("\\boxed"), tail.rfind("\\fbox")) :]).strip()
        text, boxes = _clean(text.split("\n")[0]), _boxes(response)
        if boxes and boxes[-1] and len(text.split()) - len(boxes[-1].split()) > MAX_FINAL_WORDS:
            text = _clean(boxes[-1])  # without the sentence that follows
        return Answer(text=text, how="boxed" if text else "empty box", boxes=boxes)
    if mark := last_mark(tail):
        return Answer(text=_clean(mark.text), how=mark.how)
    whole = response.strip()
    if not whole:
        return Answer(text="", how="empty response")
    if "<think>" in whole:  # a thought that was not closed
        return Answer(text="", how=NOT_FOUND, is_final=False)
    if len(whole.split()) <= MAX_FINAL_WORDS and len(whole) <= MAX_WHOLE_CHARS:
        return Answer(text=_clean(whole), how="whole response")
    if opening := _OPENING.match(whole):
        text = _clean(whole) if len(whole) <= MAX_WHOLE_CHARS else opening[1]
        how = "whole response" if len(whole) <= MAX_WHOLE_CHARS else "opening word"
        return Answer(text=text, how=how, is_final=False)
    if concluded := last_conclusion(tail):
        return Answer(text=_clean(concluded.text), how=concluded.how, is_final=concluded.is_final)
    if len(whole) <= MAX_WHOLE_CHARS:
        return Answer(text=_clean(whole), how="whole response", is_final=False)
    return Answer(text="", how=NOT_FOUND, is_final=False)


def _boxes(text: str) -> tuple[str, ...]:
    """What each box of a text holds, in order; "" for one that is not closed."""
    return tuple(_braced(text, found.end()) for found in list(_BOX.finditer(text))[-MAX_BOXES:])


def _braced(text: str, start: int) -> str:
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start + 1 : position].strip()
    return ""


def _clean(text: str) -> str:
    text = _LEADING_MARKS.sub("", _AFTER.sub("", text.strip()).strip())
    for begin, end in _ENCLOSED:
        inner = text.rstrip(". \n")
        if inner.startswith(begin) and inner.endswith(end) and len(inner) > len(begin + end):
            text = inner.removeprefix(begin).removesuffix(end).strip()
    if text.startswith(("\\boxed", "$\\boxed")):
        text = boxed(text)
    return text.strip().removesuffix(".").removesuffix("。").rstrip("*_ ").strip()


def _is_number(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def number_of(text: str) -> Decimal | None:
    """The value of an answer that is a number: "14", "1,200", "3/4", "14 years", "12\\%" (12), "2π"; else None.

    A remark in brackets is no factor ("14 (fourteen)"), a name before the value is left out ("x = 14").
    """
    text = text.strip()
    if not text or len(text) > MAX_ANSWER_CHARS:
        return None
    if _is_number(text):
        return _in_range(Decimal(text))
    plain = plain_text(_LATEX_SPACE.sub(" ", text))
    plain = _without_remark(plain)
    for said in (plain, *commitments(plain)):
        if (value := _value_of(said)) is not None:
            return _in_range(value)
    return None


def _without_remark(text: str) -> str:
    """Without a last bracket that only says the number again or explains it; a product keeps its factor."""
    remark = _REMARK.search(text)
    if remark is None or not remark.start():
        return text
    before = _value_of(text[: remark.start()])
    inside = _value_of(remark["inside"] or "")
    is_factor = inside is not None and inside != before and not _is_number(remark["inside"])
    return text if before is None or is_factor else text[: remark.start()]


def _value_of(text: str) -> Decimal | None:
    found = read(text)
    if isinstance(found, Relation):
        values = [read(value) for value in named_values(found)]
        found = values[-1] if values else found
    return found.value.constant if isinstance(found, Quantity) else None


def only_number_in(text: str) -> Decimal | None:
    """The number of a phrase that has exactly one: "about 14 apples"; None with none or several."""
    found = {item.group().replace(",", "") for item in _NUMBER_INSIDE.finditer(text)}
    return _in_range(Decimal(found.pop())) if len(found) == 1 else None


MAX_EXPONENT = 300  # a double holds it, and its digits are soon written


def _in_range(value: Decimal | None) -> Decimal | None:
    """A number that benchmarks can round, truncate and print; infinity and 1e999999 are none."""
    if value is None or not value.is_finite() or abs(value.adjusted()) > MAX_EXPONENT:
        return None
    return value


REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)


def can_infer(text: str, choices: dict[str, str]) -> str | None:
    """VLMEvalKit's option matcher, with its order of rules: the letter, "Z" for none, None where it can't tell.

    A letter standing alone, if only one does; else the option whose text the response contains, if only one is.
    """
    if any(refusal in text for refusal in REFUSALS):
        return "Z"
    tokens = re.sub(r"[.()\[\],:;!*#{}]", " ", text).split()
    letters = [letter for letter in choices if letter in tokens]
    if len(letters) == 1:
        return letters[0]
    if not letters and "Z" in tokens:
        return "Z"
    lowered = text.lower()
    contained = [letter for letter, option in choices.items() if option.lower() in lowered]
    return contained[0] if len(contained) == 1 else None


def as_choices(options: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Option texts by letter, A first."""
    return {chr(ord("A") + place): option for place, option in enumerate(options)}
