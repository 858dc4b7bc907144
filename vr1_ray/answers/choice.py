"""Choice letters of the answer checker: which letter or letters a text commits to, with the option's text.

"B", "(b)", "B. 12 cm", "B Square", "Option B", "B because ..." commit to B; "B or C", "not B" and all options listed commit
to nothing. "A, C", "AC" and "A and C" are the two letters A and C.
"""

import re
from dataclasses import dataclass

_NAME = r"(?i:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:options?|choices?|answers?|letters?)\s*:?\s+)?"
_LETTER = r"(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Za-z]))"
_ALONE = re.compile(rf"{_NAME}{_LETTER}[.:),;]?", re.IGNORECASE)
_WITH_TEXT = re.compile(
    rf"{_NAME}(?:[(\[]\s*([A-Za-z])\s*[)\]]\s*[.:,-]?|([A-Za-z])[.:)\]]|([A-Z])\s+-(?=\s)(?!\s+[A-Za-z]\Z))\s*(?P<text>\S.*)",
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
_WITH_CAPITAL = re.compile(
    rf"{_NAME}([B-HJ])\s+(?!(?:Major|Minor|Sharp|Flat)\b)(?P<text>[A-Z][a-z]+(?!.*(?:\b(?:or|and)\b|\b[A-H]\s+[A-Z])).*)",
    re.DOTALL,
)
_WITH_COMMA = re.compile(rf"{_LETTER}\s*,\s*(?P<text>(?!\s*[IVX]+\b)[^,]*\w\w.*|\d.*)", re.DOTALL)
_OTHER_OPTION = re.compile(
    r"^(?:[Oo]r|and|&|/|,)\s*\(?[A-Za-z]\)?(?!\w)|(?:^|[\s,;/])[(\[]?(?:[A-H][)\].:]|[a-h][):]|i{1,3}\))(?=\s|$)|\bor\s+\(?[A-H]\)?\s*$"
    r"|\b(?:[Nn]o,?|[Ii]t\s+is|[Ii]t's|(?:answer|choice|option)\s+is|choose|pick)\s+(?:it's\s+|it\s+is\s+)?\(?[A-H]\)?(?:\.|,|;|\s*$)"
)
_TAKEN_BACK = re.compile(
    r"\b(?:wait|wrong|incorrect|actually|maybe|possibly|perhaps)\b|\?", re.IGNORECASE
)
_NEGATED = re.compile(
    r"\b(?:not|no|nor|neither|false|except|or|and|ruled|eliminated|excluded)\b|n't\b", re.IGNORECASE
)
_RULED_OUT = re.compile(
    r"\b(?:(?:not|cannot|neither|never|rather\s+than|instead\s+of|unlike|except|eliminates?|excludes?|rules?\s+out)\b|\w+n't\b)"
    r"(?P<others>[^.;!?]*)", re.IGNORECASE
)  # fmt: skip
_OPTION = re.compile(r"(?<![\w'])(?<!\d )[A-H](?![\w'])")
_NO_CHOICE = re.compile(  # S.A.S., a:b:c = 1:2:3
    r"(?:[A-Za-z]\.)+[A-Za-z]\.?|[A-Za-z]\s*:\s*[A-Za-z](?:\s*:\s*[A-Za-z])?\s*=\s*[\d.]+\s*:.*"
)
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
    is_loose: bool = False
    """Whether only a blank stands between letter and text: then the texts must agree too."""


def read_choice(text: str) -> Choice | None:
    """The letters that `text` commits to, or None."""
    if (len(text) == 1 and text in _VARIABLES) or _NO_CHOICE.fullmatch(text):
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
    for form in (_WITH_TEXT, _WITH_VALUE, _WITH_CAPITAL, _WITH_COMMA):
        match = form.fullmatch(text)
        if match is None:
            continue
        rest = match["text"].strip()
        letter = next(group for group in match.groups() if group).upper()
        told = _without_ruled_out(rest, letter)
        if told is None or rest[0] == "." or _OTHER_OPTION.search(told) or _TAKEN_BACK.search(rest):
            return None
        if form in (_WITH_CAPITAL, _WITH_VALUE) and _OPTION.search(told.removeprefix("A ")):
            return None
        if form in (_WITH_VALUE, _WITH_COMMA) and _NEGATED.search(rest):
            return None
        return Choice(letters=frozenset(letter), text=rest, is_loose=form is _WITH_CAPITAL)
    return None


def _without_ruled_out(rest: str, letter: str) -> str | None:
    """What follows the letter without the options it denies: "It can't be A or B"; None if it denies itself."""
    for denied in _RULED_OUT.finditer(rest):
        options = set(_OPTION.findall(denied["others"]))
        if letter in options:
            return None
        if options - {"A"} or re.search(r"\bA\s*(?:,|or|nor|and|$)", denied["others"]):
            rest = rest.replace(denied[0], " ")
    return rest
