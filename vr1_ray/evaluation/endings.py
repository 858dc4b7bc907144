"""What people and models write around their final answer, English and Chinese: a table of marks, tried on text alone.

A mark says "this is the answer" (`STATED`, `NAMED`, `HEADED`, JSON); the one that stands last counts. A conclusion is
weaker: the last line says something ("Thus, x = 14."), and it is read only where there is no mark.
To add a way of writing, add it to its table; tests/unit/evaluation/test_endings.py has a case of each.
"""

import re
from dataclasses import dataclass

_BE = (
    r"(?:is|are|was|were|equals?|(?:must|should|would|will|has\s+to|can\s+only|turns?\s+out\s+to|comes?\s+out\s+to"
    r"|works?\s+out\s+to|seems?\s+to|appears?\s+to)\s+be)\b"
)
_SAYS = rf"[\"'>\])}}*_\s]*(?:[:=：＝]|{_BE}|->|→|⇒|\s[-–—]\s)[\s:：*_]*"
_FILLER = r"(?:(?:therefore|thus|then|hence|indeed|simply|clearly|also|just|most\s+likely|probably)\b,?\s*)?"
_REST = (
    r"(?=(?P<answer>[^\n]{1,300}))"  # looked at, not passed: a later mark on the line is found too
)
_OF = r"(?:\s+(?:to|for|of|in)\s+[^.\n:：]{1,60}?)?"

STATED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:final\s+|correct\s+|right\s+|best\s+|short\s+)*(?:answers?|ans)\b{_OF}{_SAYS}{_FILLER}{_REST}",
        rf"\b(?:correct|right|best|closest|appropriate|matching)\s+(?:option|choice|letter|statement|response)\b{_OF}{_SAYS}{_FILLER}{_REST}",
        rf"\b(?:final\s+)?(?:result|solution|option|choice)\b{_OF}[*_\s]*(?:[:=：]|{_BE})[\s:：*_]*{_FILLER}(?!correct\b|right\b|incorrect\b|wrong\b|not\b){_REST}",
        rf"\bans\.\s*{_REST}",
        rf"<answers?>\s*[:：]?\s*(?!\s*</){_REST}",
        r"(?:^|\n)\s*####\s*(?=(?P<answer>[^\n#]{1,300}))",
        r"\b(?:I|we)(?:\s+(?:would|will|should|can|must)|'d|'ll)?\s+(?:choose|select|pick|go\s+(?:with|for))\s+"
        r"(?=(?P<answer>(?:option\s+|choice\s+|answer\s+)?[*_(]*[A-Za-z](?!\w)(?!\s+(?:if|when|unless)\b)[^\n]{0,200}))",
        r"(?<![\w])(?:choose|select|pick)\s+(?=(?P<answer>(?:option\s+|choice\s+|answer\s+)[*_(]*[A-Z](?!\w)(?!\s+(?:if|when|unless)\b)[^\n]{0,200}))",
        r"\b(?:corresponds?\s+to|match(?:es)?(?:\s+with)?|agrees?\s+with|(?:which|this|that)\s+is)\s+"
        r"(?=(?P<answer>(?:option|choice|answer)\s+[*_(]*[A-Z](?!\w)[^\n]{0,200}))",
        r"(?:最终|正确|标准|参考)?(?:答案|选项)\s*(?:应该|应当|应)?\s*(?:是|为|選|选|[:：=】])[\s:：*_]*(?=(?P<answer>[^\n]{1,300}))",
        r"(?<![挑候备可任])(?:选择?|選擇?)(?:项是|项)?\s*[:：]?\s*"
        r"(?=(?P<answer>[(（【]?[A-Z](?![A-Za-z])[^\n]{0,200}))",
    )
)  # the answer follows the mark, on its line
_LETTER = r"(?P<answer>[(\[]?(?<![A-Za-z])[A-Z](?![A-Za-z])[)\]]?)"
NAMED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:\b(?:option|choice|answer|statement))\s*[*_]*{_LETTER}(?!\s+(?:if|when|unless)\b)[^.\n]{{0,80}}?\b(?i:is|are|must\s+be|should\s+be|would\s+be)\s+"
        r"(?i:therefore\s+|thus\s+|indeed\s+)?(?i:the\s+)?[*_]*(?i:correct|right|true|answer|best|most\s+(?:appropriate|suitable|accurate))\b",
        rf"(?<![\w'])(?<!Let )[*_]*{_LETTER}[*_]*\s+(?i:is|must\s+be|should\s+be)\s+(?i:therefore\s+|thus\s+)?(?i:the\s+)?[*_]*"
        r"(?i:correct|right|best)\b(?!\s*(?i:-?\s*angle))",
        rf"(?<![\w'])[*_]*{_LETTER}[*_]*\s+(?i:is|must\s+be)\s+(?i:the|our|my)\s+[*_]*(?i:final\s+|correct\s+)?(?i:answer|option|choice)\b",
        r"(?:^|[\s,])(?P<answer>[^\s,]*\d[^\s,]*)\s+(?i:is|must\s+be)\s+(?i:the|our|my)\s+(?i:final\s+|correct\s+)?(?i:answer|result)\b",
        rf"(?:选项)?\s*{_LETTER}\s*(?:选?项)?\s*(?:是)?(?:正确|符合题意)",
    )
)  # the answer is in the middle of the sentence
HEADED = (
    re.compile(
        r"(?:^|\n)[ \t#>*_=-]*(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result)s?|conclusion|最终答案|答案|结论)[ \t*_:：]*"
        r"\n+(?P<answer>[^\n]{1,300})",
        re.IGNORECASE,
    ),
    re.compile(r"(?:^|\n)\s*答\s*[:：]\s*(?P<answer>[^\n]{1,300})"),
)  # a heading, and what is concluded below it
JSON = re.compile(
    r"\"(?:short|final)?[ _]?answer\"\s*:\s*(?P<answer>\"(?:[^\"\\]|\\.)*\"|\[[^\]\n]{0,200}\]|[^\s,}\]]{1,100})",
    re.IGNORECASE,
)
_CONNECTOR = re.compile(
    r"^(?:(?:so|thus|therefore|hence|consequently|finally|accordingly|in\s+conclusion|in\s+summary|as\s+a\s+result|overall)\b[,:]?\s*"
    r"|∴\s*|=>\s*|\\therefore\s*|(?:因此|所以|故|综上(?:所述)?|于是|则|即|从而|可得|得)[，,：:]?\s*)+",
    re.IGNORECASE,
)
_WE_FIND = re.compile(
    r"^it\s*['’]s\s+|^(?:(?:we|you|this|that|it|which)\s+)?(?:can\s+(?:conclude|see|say)|conclude|get|gets|have|find|obtain|see|gives?|yields?|follows|means)\s+"
    r"(?:us\s+)?(?:that\s+)?",
    re.IGNORECASE,
)
_LAST_BE = re.compile(rf"^.*\b{_BE}(?:\s+equal\s+to)?\s+|^.*(?:应该是|等于|是|为)\s*", re.DOTALL)
_OPTION_LINE = re.compile(r"^[(\[]?(?P<letter>[A-J])[)\]]?(?:[.:)：、．]\s*\S.*|[.。]?)$")
_OPTION_WORD = re.compile(
    r"^(?:option|choice|answer)\s*:?\s+(?=[*_]*[(\[]?[A-Z](?![A-Za-z]))", re.IGNORECASE
)
_CHINESE_OPTION = re.compile(r"^([(（]?[A-Z][)）]?)\s*选?项.*$", re.DOTALL)
_COURTESY = re.compile(
    r"\b(?:hope\s+(?:this|that|it)\s+helps?|let\s+me\s+know|feel\s+free|if\s+you\s+(?:have|need)|happy\s+to\s+help)\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"^[\s>#*_`~-]+|[\s*_`~]+$")
_FENCE = re.compile(r"^\s*(?:`{3}\w*|-{3,}|\\\]|\\\[|\$\$|\}|\])\s*$")
_FORMULA = re.compile(r"^\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\]|\$(.+?)\$|\\\((.+?)\\\))\s*[.。]?\s*$")
_SENTENCE_END = re.compile(
    r"(?<=[\w)\]}°%$*。])(?<!\b[A-Za-z])[.!。；;]\s+(?=[A-Z(\\$∴])|[。；](?=.)"
)
_CLAUSE = re.compile(r"[,，]\s*(?:so|then|thus|hence|and|即|则|所以|故)\s+")
_VALUE = re.compile(r"\d|[πθ∞∅√]|\\(?:pi|frac|sqrt|infty|theta)|(?<![A-Za-z])[A-Z](?![A-Za-z])")
_HOW = re.compile(
    r"(?:found|given|obtained|determined|calculated|derived|computed|as\s+follows|shown|below|(?:based|depends)\s+on|to\s+be\s+found)\b(?!\s*[:=])"
    r"(?!\s+(?:as|by|in)?\s*\$?-?\d)",
    re.IGNORECASE,
)
_ABOUT_IT = re.compile(
    r"(?:in\s+(?:[a-z]{1,3}|(?:cubic\s+|square\s+)?(?:units|degrees|meters|metres|centimeters|inches|feet)|agreement|line)\b"
    r"|consistent\s+with|the\s+same|complete|unclear|valid|reasonable|verified|confirmed|correct|right|wrong|incorrect)\b",
    re.IGNORECASE,
)  # says something of an answer that was given before; alone it is one
_EMPHASIS = re.compile(r"(?<=\d)!+$")  # "The answer is 9!" is no factorial
_OPTION_BESIDE = re.compile(
    r"([(\[]?[A-J][)\]]?)[.;]\s+(?:(?:choice|option|answer)\s+[(]?[A-J]\b|(?:the|all)\s+other\b|other\s+(?:options|choices)\b)",
    re.IGNORECASE,
)  # C. Option B is wrong
_OPENERS = frozenset(
    str.split("to we first let given since from the in using look i this as here step")
)
MAX_STATED_WORDS = 8
MAX_SENTENCES = 3  # of the last line, from its end
MAX_CONCLUSION_WORDS = 6  # a longer clause without a value concludes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer's text and the table it was found by; one that is not final was concluded, not stated.

    Example:
        last_mark("Hence, option C is correct.")    # Found(text="C", how="option named", is_final=True)
    """

    text: str
    how: str
    is_final: bool = True


def last_mark(text: str) -> Found | None:
    """What follows the last mark of an answer, also of several in one line; None without one."""
    found: list[tuple[bool, int, int, Found]] = []
    tables = (
        ("stated", STATED, 1),
        ("option named", NAMED, 0),
        ("heading", HEADED, 2),
        ("JSON answer", (JSON,), 3),
    )
    for how, patterns, rank in tables:
        for pattern in patterns:
            for match in pattern.finditer(text):
                answer = (
                    _sentence(match["answer"]) if how != "JSON answer" else _json(match["answer"])
                )
                if _says_something(answer):
                    place = (not _ABOUT_IT.match(answer), match.start("answer"), rank)
                    found.append((*place, Found(text=answer, how=how)))
    if not found:
        return None
    found = _without_values_beside(text, found)
    last = max(found, key=lambda one: one[:3])[3]
    concluded = _concluded(last.text) if last.how == "heading" else ""
    return Found(text=concluded, how=last.how) if concluded else last


def _without_values_beside(
    text: str, found: list[tuple[bool, int, int, Found]]
) -> list[tuple[bool, int, int, Found]]:
    """Without what another value of the last JSON answer's object states: {"answer": 14, "why": "the answer is ..."}."""
    places = [one[1] for one in found if one[3].how == "JSON answer"]
    if not places:
        return found
    begin, end = text.rfind("{", 0, places[-1]), text.find("}", places[-1])
    end = len(text) if end < 0 else end
    return [one for one in found if one[3].how == "JSON answer" or not begin <= one[1] <= end]


def last_conclusion(text: str) -> Found | None:
    """What the last line commits to without a mark: an option, a formula, what stands behind the last "is"."""
    lines = [line for line in text.split("\n") if line.strip() and not _FENCE.match(line)]
    while lines and _COURTESY.search(lines[-1]) and len(_SENTENCE_END.split(lines[-1])) == 1:
        lines.pop()
    if not lines:
        return None
    line = _OPTION_WORD.sub("", _MARKUP.sub("", lines[-1].strip()))
    if option := _OPTION_LINE.match(line):
        before = _OPTION_LINE.match(_MARKUP.sub("", lines[-2].strip())) if len(lines) > 1 else None
        if before and ord(option["letter"]) == ord(before["letter"]) + 1:
            return None  # the end of a list of options
        return Found(text=line, how="last line")
    if formula := _FORMULA.match(line):
        return Found(
            text=next(filter(None, formula.groups())).strip(), how="last line", is_final=False
        )
    for sentence in reversed(_SENTENCE_END.split(line)[-MAX_SENTENCES:]):
        if not _COURTESY.search(sentence) and (concluded := _concluded(sentence)):
            return Found(text=concluded, how="conclusion", is_final=False)
    return None


def _concluded(sentence: str) -> str:
    """ "Thus, the perimeter is 24 cm." -> "24 cm"; "" for a sentence that ends in no value or short phrase."""
    sentence = sentence.strip().rstrip(".。").strip()
    rest = _WE_FIND.sub("", _CONNECTOR.sub("", sentence)).strip()
    has_connector = rest != sentence
    rest = _CLAUSE.split(rest)[-1].strip()
    value = _LAST_BE.sub("", rest).strip()
    has_value = bool(_VALUE.search(value))
    is_short = len(value.split()) <= MAX_CONCLUSION_WORDS
    if value != rest and is_short and (has_value or has_connector):
        return value
    if has_value and "=" in value:
        return value
    return (
        value
        if has_value and len(value.split()) <= (MAX_CONCLUSION_WORDS if has_connector else 2)
        else ""
    )


def _sentence(text: str) -> str:
    """The first sentence of what follows a mark."""
    text = _EMPHASIS.sub("", text.strip())
    if letter := _OPTION_BESIDE.match(text):
        return letter[1]
    text = text if _OPTION_LINE.match(text) else _SENTENCE_END.split(text)[0].strip()
    return _CHINESE_OPTION.sub(r"\1", _OPTION_WORD.sub("", text))


def _json(cell: str) -> str:
    if not cell.startswith('"'):
        return cell
    return cell[1:-1].replace('\\"', '"').replace("\\\\", "\\").strip()


def _says_something(text: str) -> bool:
    """Whether an answer follows, not how it is found ("the answer is found by ...") or what is done first."""
    is_prose = len(text.split()) > MAX_STATED_WORDS and text.split()[0].lower() in _OPENERS
    return bool(re.search(r"[\w∅∞√π]", text)) and not is_prose and not _HOW.match(text)
