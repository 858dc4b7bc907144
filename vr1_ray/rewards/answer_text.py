"""First stage of the answer checker: text to plain text. Signs, LaTeX noise, prefixes, units.

Every pattern here runs in linear time on text of bounded length; nothing is evaluated.
"""

import re

MAX_ANSWER_CHARS = 1000  # a longer prediction commits to nothing

_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "π": " pi ", "∞": " inf ",
        "²": "^2", "³": "^3", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "“": '"', "”": '"', "’": "'",
        "‘": "'", "，": ",", "：": ":", "（": "(", "）": ")", "\u00a0": " ", "°": " degrees ",
    }
)  # fmt: skip
_LATEX = [
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b"), " degrees "),
    (
        re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|operatorname|mbox)\s*\{([^{}]*)\}"),
        r" \1 ",
    ),
    (re.compile(r"\\(?:left|right|displaystyle|limits|bigl?|bigr?|Bigl?|Bigr?)(?![a-zA-Z])"), ""),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(pi|sqrt|frac|infty|angle|triangle)(?![a-zA-Z])"), r" \1 "),
    (re.compile(r"\\\{"), "{"),
    (re.compile(r"\\\}"), "}"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\[,;:! ]|\\quad|~|\\\\|\\\$|\$|\\\(|\\\)|\\\[|\\\]"), " "),
]
_PREFIX = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result)"
    r"(?:\s*:|\s+is\s*:?|\s*=)\s*",
    re.IGNORECASE,
)
_UNITS = {
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers kilometre kilometres",
    "inch": "in inch inches",
    "foot": "ft foot feet",
    "degree": "deg degree degrees",
    "%": "% percent",
    "unit": "unit units",
    "second": "s sec second seconds",
    "minute": "min minute minutes",
    "hour": "h hr hour hours",
    "day": "day days",
    "gram": "g gram grams",
    "kg": "kg kilogram kilograms",
    "litre": "l liter liters litre litres",
    "dollar": "dollar dollars usd",
}
_UNIT_OF = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings.split()}
_TRAILING_UNIT = re.compile(
    r"(?P<square>(?:square|sq\.?|cubic)\s+)?(?P<unit>[A-Za-z]+|%)\.?(?:\s*\^\s*\{?(?P<power>[23])\}?)?\s*$"
)


def plain_text(text: str) -> str:
    """`text` without LaTeX noise, prefixes, bold marks and final punctuation; signs in ASCII."""
    text = _unwrapped(text.translate(_SIGNS).replace("**", "").strip())
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    text = re.sub(r"√\s*(\d+(?:\.\d+)?|[a-z])", r" sqrt(\1)", text).replace("√", " sqrt ")
    text = re.sub(r"\s+", " ", text).strip()
    for _ in range(2):  # "Final Answer: The answer is 5"
        text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    text = text.strip().rstrip(".;!").strip().strip("`\"'").strip()
    return _without_thousands(text)


def split_unit(text: str) -> tuple[str, str]:
    """(quantity, canonical unit or ""): "12 square cm" -> ("12", "cm^2")."""
    match = _TRAILING_UNIT.search(text)
    if match is None or not text[: match.start()].strip():
        return text, ""
    quantity, unit = text[: match.start()].strip(), _UNIT_OF.get(match["unit"].lower())
    if unit is None or quantity[-1] not in "0123456789.)}i":
        return text, ""
    power = match["power"] or {"s": "2", "c": "3"}.get((match["square"] or " ")[0].lower())
    return quantity, f"{unit}^{power}" if power else unit


def _unwrapped(text: str) -> str:
    r"""The inside of a last \boxed{...}, if there is one; braces are counted."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return text
    depth, begin = 0, start + len("\\boxed")
    for position in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[begin + 1 : position]
    return text


def _without_thousands(text: str) -> str:
    if text[:1] in "([{":
        return text
    return re.sub(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m[0].replace(",", ""), text)
