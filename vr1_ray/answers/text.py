"""First stage of the answer checker: an answer to plain text without prefixes, bold marks and noise.

Nothing is evaluated here, and what the text means is not decided here. Text is at most MAX_ANSWER_CHARS
long, and every pattern runs in about linear time.
"""

import re

from vr1_ray.answers.latex import boxed, plain_signs, single_backslashes

MAX_ANSWER_CHARS = 2000  # a longer prediction commits to nothing

_CONNECTOR = r"(?:(?:so|thus|therefore|hence|then|finally|ok|okay|consequently)\b,?\s+)?(?:,\s*)?"
_PREFIX = re.compile(
    _CONNECTOR
    + r"(?:(?:i\s+(?:think|believe|choose|pick|say|guess|got|get|found)(?:\s+that)?\s+(?:(?:it\s+is|it's)\s+)?"
    r"|(?:i'd\s+say|it\s+(?:must|should|would)\s+be|it\s+is|it's)\s+)"
    r"|(?:(?:the|my|your|our)\s+)?(?:final\s+|correct\s+|right\s+|best\s+|estimated\s+)*"
    r"(?:answer|result|solution|ans|option|choice)s?(?:\s+(?:to|for|of)\s+(?:this|the)\s+\w+)?"
    r"(?:\s*[:=]+\s*|\s+-\s+|\s+(?:is|are|would\s+be|should\s+be|must\s+be)\b\s*:?\s*)"
    r"(?:(?:option|choice|equal\s+to)\s*:?\s+(?=\S))?"
    r"|(?:the\s+)?(?:final|correct)\s+(?:answer|result)\s+(?=[-\d＄(])|ans\.\s+|#+\s*(?=\S))",
    re.IGNORECASE,
)
_CHINESE_PREFIX = re.compile(
    r"(?:(?:所以|因此|因而|综上所述|综上|故|则|即)\s*,?\s*)?"
    r"(?:(?:最终|正确)?的?(?:答案|选项|结果)\s*应?(?:为|是|选|:)?\s*:?|应?选择?\s*:?)\s*"
)
# "**Final Answer**", "### Answer" on a line of its own
_HEADING = re.compile(
    r"[#\s]*(?:the\s+)?(?:final\s+|correct\s+)*(?:answer|result|solution|conclusion)s?[ \t:.#]*\n\s*",
    re.IGNORECASE,
)
_IS_THE_ANSWER = re.compile(
    r"\s+(?:is|are|would\s+be)\s+(?:the|my|our)\s+(?:final\s+|correct\s+|right\s+|best\s+)*(?:answer|result|solution)s?",
    re.IGNORECASE,
)
# "The answer is 9!": emphasis, where words come first and no mathematics is closed behind it
_EMPHASIS = re.compile(r"\d\s*(!+)[\s*_\"']*\Z")
_FACTORIAL = re.compile(r"(?<![A-Za-z'])[a-z]!\Z")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_LEADING_CONNECTOR = re.compile(
    r"(?:so|thus|therefore|hence|consequently|finally)\b,?\s+|∴\s*|we\s+(?:get|have|find|obtain)\s+(?:that\s+)?",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:≈|~(?=\s*[-\d.＄])|=|(?:only|just|precisely|is|are)(?=\s+[-\d＄$])|(?:a\s+)?total\s+of(?=\s)|(?:is\s+)?(?:approximately|about|roughly|around|approx\.?|exactly|equals|equal to)(?=[\s\d]))\s*",
    re.IGNORECASE,
)
_PREFIXES = (_PREFIX, _LEADING_CONNECTOR, _ABOUT, _CHINESE_PREFIX)
_POWER_STARS = re.compile(r"(?<=[\w)])\*\*(?=[\w(])")
_UNDERLINED = re.compile(r"(?<!\w)__([^_]+)__(?!\w)")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_MARKED_THOUSANDS = re.compile(
    r"(?<![\d.,_'])[1-9]\d{0,2}(?:'\d{3}(?!\d))+|(?<![\w.,_'])[1-9]\d{0,2}(?:_\d{3}(?!\d))+"
)
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,^_/] )(?<![\d.,^_/])\d{1,3}(?: \d{3})+(?![\d/]| \d)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)")
_OR_BETWEEN = re.compile(
    r"(?<=[\d)}\]])\s*(or|and)\s*(?=[-+\d(\[]|sqrt|frac|[A-Za-z](?:_\w)?\s*[=<>≤≥])"
)
_TIMES = re.compile(r"(?<=\d)\s+[xX]\s+(?=\d)")


def plain_text(text: str) -> str:
    """`text` without LaTeX noise, prefixes, bold marks and final punctuation; signs in one spelling."""
    text = single_backslashes(text)
    emphasis = _EMPHASIS.search(text)
    if emphasis and _WORD.search(text, 0, emphasis.start()):
        text = text[: emphasis.start(1)]
    text = _without_marks(plain_signs(boxed(text)))
    if heading := _HEADING.match(text):
        text = text[heading.end() :]
    text = _TIMES.sub("*", _TIMES_TEN.sub("*", " ".join(text.split())))
    if "or" in text or "and" in text:
        text = _OR_BETWEEN.sub(r" \1 ", text)
    text = without_prefix(text)
    return _without_thousands(text)


def without_prefix(text: str) -> str:
    """ "Final Answer: The answer is 5." -> "5"."""
    patterns = _PREFIXES[: 3 if text.isascii() else 4]
    for _ in range(3):
        stripped = _trimmed(text)
        for pattern in patterns:
            match = pattern.match(stripped)
            stripped = stripped[match.end() :] if match else stripped
        stripped = _without_postfix(stripped)
        if stripped == text:
            break
        text = stripped
    return _trimmed(text)


def _without_postfix(text: str) -> str:
    """ "27 is the answer" -> "27"."""
    found = list(_IS_THE_ANSWER.finditer(text))
    return text[: found[-1].start()] if found and found[-1].end() == len(text) else text


def _trimmed(text: str) -> str:
    """Without final punctuation and without quotes around the whole."""
    text = text.strip().rstrip(".;,:").strip()
    if (
        text.endswith("!")
        and not _FACTORIAL.search(text)
        and not text[-2:-1].isdigit()
        and text[-2:-1] not in (")", "")
    ):
        text = text.rstrip("!").rstrip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip().rstrip(".;,")
    return text


def _without_marks(text: str) -> str:
    """Without the marks of bold and italics; `x**2` is a power."""
    text = _UNDERLINED.sub(r"\1", text)
    if "*" not in text:
        return text
    if not re.search(r"(?:^|[\s:(])\*\*|\*\*(?:$|[\s.,:)])", text):
        text = _POWER_STARS.sub("^", text)
    text = text.replace("**", "")
    stripped = text.strip()
    is_italic = len(stripped) > 2 and stripped[0] == stripped[-1] == "*"
    return stripped[1:-1] if is_italic else text


def _without_thousands(text: str) -> str:
    if text[:1] in "([{":  # (1,234) may be a pair
        return text
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    if "'" in text or "_" in text:
        text = _MARKED_THOUSANDS.sub(lambda number: re.sub("[_']", "", number[0]), text)
    return _SPACED_THOUSANDS.sub(lambda number: number[0].replace(" ", ""), text)
