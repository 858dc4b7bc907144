"""Finding the answer in a response by rules, and saying which rule found it. No benchmark, no reference answer.

In order: the last `<answer>` block, the last `\\boxed{}`, what a line says after "Final Answer:" or "the answer is",
a short response as a whole. A response that is cut before any of these has no answer.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from vr1_ray.answers.latex import boxed
from vr1_ray.answers.reading import Quantity, read
from vr1_ray.answers.text import MAX_ANSWER_CHARS, plain_text

MAX_WHOLE_CHARS = 200  # a longer response without a mark is no answer by itself
MAX_TAIL_CHARS = 2000  # where a statement is looked for
_BLOCK = re.compile(r"<answer>((?:(?!<answer>).)*)</answer>", re.DOTALL)
_FINAL = re.compile(r"^\s*\**\s*final\s+answers?\s*\**\s*:?\s*\**", re.IGNORECASE)
_STATED = re.compile(
    r"(?:\bfinal\s+answers?|\bcorrect\s+(?:answer|option|choice)|\banswers?|\bresult)\b\s*\**\s*(?:is\b|are\b|:|=)"
    r"\s*:?\s*\**\s*(?P<answer>[^\n]{1,300})",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*</?(?:think|answer)>.*$|\s*\**\s*$", re.DOTALL)
_LATEX_SPACE = re.compile(r"\\[,;! ]|\\(?:left|right|displaystyle)(?![A-Za-z])")
_NUMBER_INSIDE = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")


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


def find_answer(response: str, *, is_cut: bool = False) -> Answer:
    """The answer of a response; `is_cut` says that it met its budget. Linear in its length, never raises."""
    start = response.rfind("<answer>")
    if start >= 0 and (block := _BLOCK.match(response, start)):
        text = _clean(_FINAL.sub("", block[1]))
        return Answer(text=text, how="answer block" if text else "empty answer block")
    if is_cut:
        return Answer(text="", how="cut, no answer")
    tail = response[-MAX_TAIL_CHARS:]
    if "\\boxed" in tail or "\\fbox" in tail:
        text = boxed(tail[max(tail.rfind("\\boxed"), tail.rfind("\\fbox")) :]).strip()
        return Answer(text=_clean(text.split("\n")[0]), how="boxed")
    if stated := _last_statement(tail):
        return Answer(text=_clean(stated), how="stated")
    whole = response.strip()
    if not whole:
        return Answer(text="", how="empty response")
    if "<think>" not in whole and len(whole) <= MAX_WHOLE_CHARS:
        is_short = len(whole.split()) <= MAX_FINAL_WORDS
        return Answer(text=_clean(whole), how="whole response", is_final=is_short)
    return Answer(text="", how="no answer found", is_final=False)


def _last_statement(text: str) -> str:
    """What follows the last "the answer is", also of several in one line."""
    stated = ""
    for match in _STATED.finditer(text):
        stated = match["answer"]
    while inner := _STATED.search(stated):
        stated = inner["answer"]
    return stated


MAX_FINAL_WORDS = 4  # a sentence as a whole may answer in words that rules don't read


def _clean(text: str) -> str:
    text = _AFTER.sub("", text).strip()
    if text.startswith(("\\boxed", "$\\boxed")):
        text = boxed(text)
    return text.strip().removesuffix(".").strip()


def _is_number(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def number_of(text: str) -> Decimal | None:
    """The value of an answer that is a number: "14", "1,200", "3/4", "14 years", "12\\%" (12), "2π"; else None."""
    text = text.strip()
    if not text or len(text) > MAX_ANSWER_CHARS:
        return None
    if _is_number(text):
        return _in_range(Decimal(text))
    found = read(plain_text(_LATEX_SPACE.sub(" ", text)))
    return _in_range(found.value.constant) if isinstance(found, Quantity) else None


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
