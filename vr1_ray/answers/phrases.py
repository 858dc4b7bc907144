"""Phrases of the answer checker: what two texts in words must share to be the same answer.

Case, articles, quotes, hyphens, plurals and a few spellings and abbreviations are free; kinds, negations, signs
("-vec c"), primes ("A'") and the brackets of a computation are not.
"""

import re
from functools import lru_cache

from vr1_ray.answers.units import singular

_ORDINALS = {
    word: f"{number}th"
    for number, word in enumerate(
        str.split(
            "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
        )
    )
}
_SPELLINGS = [
    (re.compile(r"\bcan(?:'|no)t\b|\bcan not\b"), "cannot"), (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bgr[ea]y\b"), "gray"), (re.compile(r"\bcolour"), "color"), (re.compile(r"\bcentre\b"), "center"),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b"), r"\1th"), (re.compile(r"&"), " and "), (re.compile(r"_"), " "),
    (re.compile(r"\bit's\b"), "it is"),
    (re.compile(r"^(?:it|this|that|the answer)\s+(?=cannot)"), ""), (re.compile(r"(?<=\w)'s\b"), "s"),
]  # fmt: skip
_SAME_PHRASES = {
    **dict.fromkeys(("true", "yeah", "yep", "y"), "yes"), **dict.fromkeys(("false", "nope", "n"), "no"),
    **dict.fromkeys(
        ("∅", "empty set", "no solution", "no solutions", "{}", "{ }", "there is no solution",
         "no solution exists", "null set", "there are no solution", "has no solution"), "∅"
    ),
    **dict.fromkeys(("dne", "does not exist", "do not exist"), "dne"),
    **dict.fromkeys(("undefined", "not defined", "is undefined"), "undefined"),
    **dict.fromkeys(("infinity", "inf", "+inf", "positive infinity", "infinite"), "inf"),
    **dict.fromkeys(("negative infinity", "minus infinity", "-inf", "- inf"), "-inf"),
    **dict.fromkeys(("cannot determine", "cannot be determined", "not enough information",
                     "insufficient information"), "cannot be determined"),
    **{
        f"{start}{kind}{end}": f"all {kind}s"
        for kind in ("real", "integer", "rational", "natural", "complex")
        for start in ("", "all ", "any ", "every ", "set of ", "set of all ", "the set of ", "the set of all ")
        for end in ("s", " number", " numbers")
    },
    **dict.fromkeys(("sss", "side side side"), "sss"), **dict.fromkeys(("sas", "side angle side"), "sas"),
    **dict.fromkeys(("asa", "angle side angle"), "asa"), **dict.fromkeys(("aas", "angle angle side"), "aas"),
    **dict.fromkeys(("us", "usa", "united states", "united states of america"), "usa"),
    **dict.fromkeys(("uk", "united kingdom"), "uk"), **dict.fromkeys(("na", "n/a", "not applicable"), "n/a"),
}  # fmt: skip
_SHORT_FORMS = {
    "max": "maximum",
    "min": "minimum",
    "approx": "approximately",
    "avg": "average",
    "temp": "temperature",
}
_ARTICLES = frozenset(("a", "an", "the"))
_INITIALS = re.compile(r"(?<![A-Za-z.])(?:[A-Za-z]\.){1,5}[A-Za-z](?![A-Za-z])\.?")
_PRIMES = re.compile(r"(?:(?<=[A-Z])|(?<=(?<![A-Za-z])[a-z]))('+)(?!(?i:s|m|d|t|ll|ve|re)\b)")
_MINUS = r"(?<!\w)-(?=[\w\[(])|(?<!\w)-\s+(?=(?:vec|bar|hat|sqrt|frac|sin|cos|tan|log|ln)\b|\w\b)"
_TOKEN = re.compile(rf"\w+(?:\.\d+)?|[^\s\w\"'.,!?():;-]|{_MINUS}")
_FACTORIAL = r"(?:(?<=[\d)])|(?<=\b[a-z]))!"
_TOKEN_OF_COMPUTATION = re.compile(
    rf"{_FACTORIAL}|\w+(?:\.\d+)?|[^\s\w\"'.,!?:;-]|{_MINUS}|(?<=[\w)])\s*-\s*(?=\()"
)
_COMPUTATION = re.compile(rf"\A[^a-z]*\Z|[+*/^=]|\b(?:vec|bar|hat)\b|{_FACTORIAL}")


def is_same_phrase(said: str, wanted: str) -> bool:
    """Whether two phrases are the same but for case, articles, quotes, hyphens, plurals and spelling."""
    return bool(said) and bool(wanted) and phrase_of(said) == phrase_of(wanted)


@lru_cache(maxsize=8192)
def phrase_of(text: str) -> tuple[str, ...]:
    """The words and signs of `text` that count, in one spelling."""
    text = _PRIMES.sub(lambda primes: "′" * len(primes[1]), text)
    text = _INITIALS.sub(lambda initials: initials[0].replace(".", ""), text).casefold()
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    text = " ".join(text.split())
    if not text.startswith("-"):
        text = _SAME_PHRASES.get(text.replace("-", " "), text)
    text = _SAME_PHRASES.get(text, text)
    token = _TOKEN_OF_COMPUTATION if _COMPUTATION.search(text) else _TOKEN
    words = token.findall(text) or [text]
    kept = [word for word in words[:-1] if word not in _ARTICLES] + words[-1:]
    return tuple(singular(_ORDINALS.get(word, _SHORT_FORMS.get(word, word))) for word in kept)
