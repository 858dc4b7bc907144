"""Choice letters of the answer checker: which letter or letters a text commits to, with the option's text.

"B", "(b)", "B. 12 cm", "Option B", "B because ..." commit to B; "B or C", "not B" and all options listed commit
to nothing. "A, C", "AC" and "A and C" are the two letters A and C.
"""

import re
from dataclasses import dataclass

_NAME = r"(?i:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:options?|choices?|answers?|letters?)\s*:?\s+)?"
_LETTER = r"(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Za-z]))"
_ALONE = re.compile(rf"{_NAME}{_LETTER}[.:),;]?", re.IGNORECASE)
_WITH_TEXT = re.compile(
    rf"{_NAME}(?:[(\[]\s*([A-Za-z])\s*[)\]]\s*[.:,-]?|([A-Za-z])[.:)\]]|([A-Z])\s+-(?=\s))\s*(?P<text>\S.*)",
    re.DOTALL,
)
_WITH_REASON = re.compile(
    rf"{_NAME}{_LETTER}(?:,|;|\.|:)?\s*(?:(?i:because|since)|as\s|for\s+the|,\s*(?:not|so|which|it)\b|rather\s+than|instead\s+of"
    r"|\(?not\s+\(?[A-Z]\b|(?:is|would be)\s+(?:the\s+)?(?:correct|right|true|answer|best)).*",
    re.DOTALL,
)
_WITH_VALUE = re.compile(
    r"([B-HJ-Z])\s+(?P<text>[\d($＄.+-].*|sqrt.*|frac.*|[a-z]{3,}.*)", re.DOTALL
)
_WITH_COMMA = re.compile(rf"{_LETTER}\s*,\s*(?P<text>[^,]*\w\w.*|\d.*)", re.DOTALL)
_OTHER_OPTION = re.compile(
    r"^(?:or|and|&|/|,)\s*\(?[A-Za-z]\)?(?!\w)|(?:^|[\s,;/])[(\[]?[A-H][)\].:](?=\s|$)|\bor\s+\(?[A-H]\)?\s*$"
)
_TAKEN_BACK = re.compile(r"\b(?:wait|wrong|incorrect|actually|maybe)\b|\?", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|no|nor|neither|false|except|or|and)\b|n't\b", re.IGNORECASE)
_VARIABLES = frozenset("ijklmnopqrstuvwxyz")  # in lower case and alone no choice
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or)\s+|[,;&+/]|\band\b|\bor\b)\s*", re.IGNORECASE)
_SEVERAL = re.compile(r"(?:options?|choices?)?\s*(?=(?:[(\[]?[A-Z][)\]]?\W|[A-H]{2,8}$))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One or more letters and the text of the option, if there is some.

    Example:
        read_choice("(B) 12 cm")  # Choice(letters=frozenset("B"), text="12 cm")
    """

    letters: frozenset[str]
    text: str = ""


def read_choice(text: str) -> Choice | None:
    """The letters that `text` commits to, or None."""
    if len(text) == 1 and text in _VARIABLES:
        return None
    if alone := _ALONE.fullmatch(text):
        return Choice(letters=frozenset((alone[1] or alone[2]).upper()))
    return _several(text) or _with_reason(text) or _with_text(text)


def _several(text: str) -> Choice | None:
    if len(text) > 60 or not (start := _SEVERAL.match(text)):
        return None
    text = text[start.end() :]
    if re.fullmatch(r"[A-H]{2,8}", text):
        parts = list(text)
    else:
        parts = [part.strip("()[] ") for part in _SEPARATOR.split(text.replace(")(", "),("))]
    if len(parts) < 2 or len(set(parts)) < len(parts):
        return None
    is_letters = all(len(part) == 1 and part.isascii() and part.isupper() for part in parts)
    return Choice(letters=frozenset(parts)) if is_letters else None


def _with_reason(text: str) -> Choice | None:
    match = _WITH_REASON.fullmatch(text)
    if match is None or re.search(r"\bwait\b|\?", text):
        return None
    letter = match[1] or match[2]
    return None if letter in ("a", "i") else Choice(letters=frozenset(letter.upper()))


def _with_text(text: str) -> Choice | None:
    for form in (_WITH_TEXT, _WITH_VALUE, _WITH_COMMA):
        match = form.fullmatch(text)
        if match is None:
            continue
        rest = match["text"].strip()
        if _OTHER_OPTION.search(rest) or _TAKEN_BACK.search(rest):
            return None
        if form is not _WITH_TEXT and _NEGATED.search(rest):
            return None
        letter = next(group for group in match.groups() if group)
        return Choice(letters=frozenset(letter.upper()), text=rest)
    return None
