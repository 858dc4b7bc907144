"""Answers in words: what a longer text commits to; number words ("twenty-five", "two thirds") to digits.

A reason after the answer is fine, a second answer is not.
"""

import re

from vr1_ray.answers.text import without_prefix

_UNITS = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
_TENS = dict(
    zip(
        str.split("twenty thirty forty fifty sixty seventy eighty ninety"),
        range(20, 100, 10),
        strict=True,
    )
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SMALL = {word: number for number, word in enumerate(_UNITS)} | _TENS
_PARTS = {
    "half": 2, "halve": 2, "third": 3, "fourth": 4, "quarter": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10,
}  # fmt: skip
_NUMBER_WORD = "|".join(sorted([*_SMALL, *_SCALES], key=len, reverse=True))
_NUMBER_RUN = re.compile(
    rf"\b(?:{_NUMBER_WORD})(?:(?:[\s-]+(?:and\s+)?)(?:{_NUMBER_WORD}))*\b(?!')", re.IGNORECASE
)
_FRACTION = re.compile(
    rf"(?:(\d+) and )?\b(an?|\d+)[\s-]+({'|'.join(_PARTS)})s?\b(?!\s+(?:place|quadrant|floor|day|row|column))",
    re.IGNORECASE,
)
_ROOT = re.compile(r"\b(?:the\s+)?square\s+root\s+of\s+", re.IGNORECASE)
_MINUS = re.compile(r"\b(?:minus|negative)\s+(?=\d|inf\b)", re.IGNORECASE)
_INFINITY = re.compile(r"\b(?:positive\s+)?infinity\b", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:or|maybe|perhaps|possibly|wait|actually|alternatively|but|however|might|could|hmm|unsure|no wait|correction|oops|sorry)\b|\?",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\s{0,3}[,;.(:-]{0,4}\s{0,3}\b(?:because|since|as\s+(?:it|the|they|there|both|all|\w+\s+(?:is|are|=))|due\s+to|given\s+that"
    r"|so\s+that|which\s+(?:is|are|has|have|means)|based\s+on|according\s+to|where|rather\s+than|when\s+rounded"
    r"|rounded)\b",
    re.IGNORECASE,
)
_RETRACTED = re.compile(r"[.;!]\s+no\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!]\s+(?=[A-Z(])|\s*\n")
_PARENTHESIS = re.compile(r"\s+\(([^()]*)\)$")
_DENIED = re.compile(
    r"\s*(?:is\s+)?(?:wrong|incorrect|false|invalid|rejected|discarded|extraneous"
    r"|not\s+(?:valid|possible|allowed|correct|right|true|accepted|included|(?:the|an?)\s+(?:answer|solution|root)))\b",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"\b[A-H]\b.*\b(?:also|too|as\s+well)\b")
_BARE = re.compile(r"\(?([A-H]|[-+]?\d+)\)?")
_YES_NO = re.compile(r"(yes|no|true|false)\s*(?:[,.;:!(-]|\s-)+\s*(.+)", re.IGNORECASE | re.DOTALL)
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|no|cannot|incorrect|wrong)\b|n't\b", re.IGNORECASE
)
_COMMA_REASON = re.compile(
    r",\s+(?:so|it|they|this|that|the|there|these|those|with|not|by|from|using|for)\b(?=.*\s)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?P<subject>(?:[A-Za-z]|∠)(?:[^,;:=?!<>≤≥]|:(?=\s?[A-Z])){0,120}?)\s+(?:is|are|was|were|equals?|measures|has|have|contains|shows|needs|requires|takes|costs|gives|gets|totals|makes|uses"
    r"|will\s+be|would\s+be|must\s+be|should\s+be|comes?\s+(?:out\s+)?to)\s+"
    r"(?:(?:approximately|about|roughly|exactly|equal\s+to|therefore|thus|simply|called|given\s+by|a\s+total\s+of)\s+)*"
    r"(?P<rest>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_LABEL = re.compile(
    r"(?!lambda|return|print|else|def|import)[A-Za-z][A-Za-z ]{2,40}\s*:\s*(?P<rest>\S.*)",
    re.DOTALL,
)
_CONCLUSION = re.compile(
    r"(?:^|[.,;!]\s+|\s)(?:so|thus|therefore|hence|consequently|∴|=>)(?=[\s,])[\s,]*", re.IGNORECASE
)
_MARKER = re.compile(
    r"\b(?:final\s+|correct\s+)*(?:answer|result)(?:\s+(?:is|would\s+be)\b\s*:?|\s*[:=])\s*",
    re.IGNORECASE,
)
_UNSURE = re.compile(r"(?:maybe|perhaps|possibly|not|either|neither|could|might)\b", re.IGNORECASE)


def with_digits(text: str) -> str:
    """Number words as digits: "twenty-five apples" -> "25 apples"."""
    text = _INFINITY.sub("inf", text)
    text = _ROOT.sub("sqrt ", text)
    return _MINUS.sub("-", _NUMBER_RUN.sub(_digits, text))


def with_fractions(text: str) -> str:
    """Spoken fractions in digits: "2 thirds" -> "2/3", "a half" -> "1/2"."""
    return "1/2" if text.lower() == "half" else _FRACTION.sub(_fraction, text)


def _digits(run: re.Match[str]) -> str:
    """The number in digits; two numbers side by side ("two three") stay words."""
    total = current = 0
    below = 100  # what the next word must be smaller than
    for word in re.split(r"[\s-]+(?:and\s+)?", run[0].lower()):
        scale = _SCALES.get(word)
        if scale is None:
            value = _SMALL[word]
            if value >= below:
                return run[0]
            current, below = current + value, 10 if value >= 20 else 0
            continue
        below = 100
        if scale == 100:
            current = max(current, 1) * 100
        else:
            total, current = total + max(current, 1) * scale, 0
    is_scale = run[0].split()[0].lower() in _SCALES
    is_factor = is_scale and bool(
        re.search(r"\d\s*$", run.string[max(0, run.start() - 3) : run.start()])
    )
    return f"{'*' if is_factor else ''}{total + current}"  # 2 million


def _fraction(match: re.Match[str]) -> str:
    whole, count, part = match.groups()
    numerator = "1" if count.lower() in ("a", "an") else count
    return f"{whole + ' ' if whole else ''}{numerator}/{_PARTS[part.lower()]}"


# 三角形的面积约为 12: what is measured, with a number behind it; no 不 (not), 至 (at least), 超 (over) or the like between
_CHINESE_MEASURE = re.compile(
    r"(?:[^\s,;.。不非未或]{0,12}的)?(?:最[大小长短高低])?(?:面积|表面积|体积|周长|长度?|宽度?|高度?|边长|半径|直径|距离|角度|度数|大小|概率|斜率"
    r"|总数|个数|人数|速度|价格|值)\s*大?约?(?:为|是|等于)\s*(?=[-\d√π])|大?约(?:为|是|等于)?\s*(?=[-\d√π])"
)


def commitments(text: str) -> list[str]:
    """What a text that is more than an answer commits to, the likeliest reading first; [] if it hedges."""
    measured = _CHINESE_MEASURE.match(text)
    found = [text[measured.end() :]] if measured else []
    for candidate in (without_reason(text), conclusion(text)):
        if candidate and candidate != text:
            found.append(candidate)
        for inner in (predicate(candidate or text), label_value(candidate or text)):
            if inner:
                found.extend([inner, without_reason(inner)])
    return [one for one in dict.fromkeys(found) if one and not _UNSURE.match(one)]


def without_reason(text: str) -> str:
    """ "circle, because it is round" -> "circle"; "" where what follows takes the answer back."""
    if yes_no := _YES_NO.fullmatch(text):
        is_number = yes_no[2].isdigit()  # No. 5
        return "" if is_number else _committed_yes_no(yes_no[1], yes_no[2])
    reason = _REASON.search(text)
    if reason and reason.start():
        return without_prefix(text[: reason.start()])
    if _RETRACTED.search(text):
        return ""
    end = _SENTENCE_END.search(text) or _COMMA_REASON.search(text)
    if end and end.start():
        is_option = text[: end.start()].strip("()").isalpha() and end.start() < 4
        return (
            ""
            if is_option or _HEDGE.search(text, end.start())
            else without_prefix(text[: end.start()])
        )
    parenthesis = _PARENTHESIS.search(text)
    if parenthesis and parenthesis.start():
        said = text[: parenthesis.start()]
        return "" if _takes_back(parenthesis[1], said) else without_prefix(said)
    return text


def _takes_back(remark: str, said: str) -> bool:
    """Whether a remark in brackets hedges, denies what stands before it, or is another answer: "A (B)"."""
    if _HEDGE.search(remark) or _DENIED.match(remark) or _BESIDE.search(remark):
        return True
    one, other = _BARE.fullmatch(without_prefix(said)), _BARE.fullmatch(remark.strip())
    if one is None or other is None:
        return False
    return one[1] != other[1] and one[1].isalpha() == other[1].isalpha()


def _committed_yes_no(said: str, rest: str) -> str:
    is_yes = said.lower() in ("yes", "true")
    is_explained = bool(re.match(r"because|since|as\b", rest, re.IGNORECASE))
    opposite = r"^(?:no|false)\b" if is_yes else r"^true\b|\byes\b"
    if re.search(opposite, rest, re.IGNORECASE) or (_HEDGE.search(rest) and not is_explained):
        return ""
    if is_yes and not is_explained and _NEGATION.search(rest):
        return ""
    return said


def predicate(text: str) -> str:
    """ "The area of the triangle is 24" -> "24"; "" for anything else, also for a negated sentence."""
    match = _SUBJECT.fullmatch(text)
    if match is None or _NEGATION.search(match["subject"]) or _HEDGE.search(match["subject"]):
        return ""
    return without_prefix(match["rest"])


def label_value(text: str) -> str:
    """ "Area: 24" -> "24"."""
    match = _LABEL.fullmatch(text)
    return without_prefix(match["rest"]) if match and not _NEGATION.search(text) else ""


def conclusion(text: str) -> str:
    """What stands behind the last "so", "therefore" or "the answer is"; "" if two answers are given."""
    marked = {without_prefix(part) for part in _MARKER.split(text)[1:]}
    if marked:
        return marked.pop() if len(marked) == 1 else ""
    parts = _CONCLUSION.split(text)
    return without_prefix(parts[-1]) if 1 < len(parts) < 6 else ""
