"""Units of the answer checker: splits "12 square cm" into "12" and cm^2, and says which units may be equal.

A unit is a product of powers of known names, or what was counted ("5 apples"). Units are never converted:
two different ones are not equal. To add a unit, add its spellings to the table below.
"""

import re
from functools import lru_cache
from itertools import islice

# Canonical name: spellings. Case counts where a spelling has one or two letters (mg, Mg).
_UNITS = {
    "nm": "nm nanometer nanometre", "μm": "μm um micrometer micron", "mm": "mm millimeter millimetre 毫米",
    "cm": "cm centimeter centimetre 厘米", "dm": "dm decimeter decimetre 分米", "m": "m meter metre 米",
    "km": "km Km KM kilometer kilometre 千米", "inch": "in inch inches", "foot": "ft foot feet", "yard": "yd yard",
    "mile": "mi mile", "degree": "degree degrees deg 度", "radian": "rad radian", "%": "% percent pct",
    "celsius": "celsius °C", "fahrenheit": "fahrenheit °F", "kelvin": "K kelvin", "unit": "unit", "second": "s sec second 秒",
    "ms": "ms millisecond", "minute": "min minute 分钟", "hour": "h hr hour hrs 小时", "day": "day d 天", "week": "week wk",
    "month": "month", "year": "year yr yrs 年", "mg": "mg milligram", "gram": "g gram gramme 克", "kg": "kg Kg KG kilogram kilo 千克",
    "ton": "t ton tonne", "ounce": "oz ounce", "pound": "lb lbs pound", "ml": "ml mL ML milliliter millilitre 毫升",
    "litre": "l L liter litre 升", "gallon": "gal gallon", "cup": "cup", "hectare": "ha hectare", "acre": "acre",
    "dollar": "dollar usd USD bucks ＄", "cent": "cent ¢", "euro": "euro eur EUR €", "sterling": "sterling gbp GBP £", "yen": "yen jpy ¥",
    "yuan": "yuan rmb RMB 元", "rupee": "rupee inr INR ₹", "newton": "N newton", "kn": "kN kilonewton",
    "joule": "J joule", "kj": "kJ KJ kilojoule", "watt": "W watt", "kw": "kW KW kilowatt", "pascal": "Pa pascal",
    "kpa": "kPa kilopascal", "volt": "V volt", "mv": "mV millivolt", "ampere": "A amp ampere", "ma": "mA milliampere",
    "ohm": "ohm Ω", "kohm": "kΩ kiloohm", "hertz": "Hz hertz", "khz": "kHz kilohertz", "mhz": "MHz megahertz", "mol": "mol mole",
    "coulomb": "C coulomb", "tesla": "T tesla", "farad": "F farad", "ev": "eV electronvolt", "calorie": "cal calorie", "kcal": "kcal",
    "atm": "atm atmosphere", "bar": "bar", "molar": "M molar", "byte": "byte", "bit": "bit",
}  # fmt: skip
_SHORT = {word: unit for unit, words in _UNITS.items() for word in words.split() if len(word) <= 3}
_LONG = {
    spelling: unit
    for unit, words in _UNITS.items()
    for word in words.split()
    if len(word) > 2
    for spelling in (word.lower(), f"{word.lower()}s")
}
_COMPOUND_NAMES = [
    (re.compile(r"\bdegrees?\s*(?:C\b|celsius|centigrade)", re.IGNORECASE), "celsius"),
    (re.compile(r"\bdegrees?\s*(?:F\b|fahrenheit)", re.IGNORECASE), "fahrenheit"),
    (re.compile(r"\bmph\b"), "mile/hour"),
    (re.compile(r"\b(?:kmph|kph|km/hr)\b"), "km/hour"),
    (re.compile(r"\b(?:sqft|sq\.?\s*ft)\b"), "square foot"),
    (re.compile(r"\bcc\b"), "cm^3"),
    (re.compile(r"\bper\s+cent\b"), "percent"),
    (re.compile(r"\bpounds?\s+sterling\b"), "sterling"),
    (re.compile(r"^'$"), "foot"),
    (re.compile(r"^\"$"), "inch"),
    (re.compile(r"平方"), "square "),
    (re.compile(r"立方"), "cubic "),
]
_PART = re.compile(
    r"\s*(?:(?P<slash>/|\bper\b)|(?P<before>square|sq\.?|cubic|cu\.?)\s+|(?P<name>[A-Za-zμΩ°]+|[%＄¢€£¥₹元米度秒天年克升]|[厘毫分千]米|[分小]钟|小时|毫升|千克)\.?"
    r"\s*(?:\^\s*[({]?\s*(?P<power>-?\d)\s*[)}]?|(?P<glued>[23])(?!\d)|(?P<after>squared|cubed)\b)?|(?P<dot>\*))"
)
_DIVISOR = re.compile(r"/\s*\(([^()/]*)\)")  # J/(kg K)
_POWER_WORDS = {"s": 2, "c": 3}
_NUMERIC_QUANTITY = re.compile(r"\s*([-+±]?\s*(?:\d|\.\d)[\d.,/^()*+\s-]*)")
_LETTER_START = re.compile(r"(?<![A-Za-zμ_\\])(?=[A-Za-zμΩ%¢€£¥₹元米度秒天年克升厘毫分千小平立])")
_NAMES_IN_QUANTITY = re.compile(r"sqrt|frac|pi|cbrt|ln|log|exp|\be\b")
_TRIGONOMETRY = re.compile(r"sin|cos|tan|cot|sec\b|csc")
_CURRENCY = re.compile(
    r"([-+]?\s*)(?:US|CA|AU|A|C|HK)?([＄€£¥₹])\s*(?=[\d.])|(?:USD|EUR|GBP|Rs\.?)\s*(?=\d)"
)
_NOUNS = re.compile(r"(?:of\s+)?[a-z]{3,}(?:[ -][a-z]{2,}){0,3}", re.IGNORECASE)
_NO_NOUNS = frozenset(
    str.split(
        "and or not but more less than fewer is are was to if wait maybe perhaps about then because"
        " since between sqrt frac sin cos tan log pi inf squared cubed factorial plus minus below above under over"
        " zero one two three four five six seven eight nine wrong incorrect false invalid rejected tenths hundredth hundredths thousandth thousandths"
    )
)
_INNER_DEGREES = re.compile(r"\s*degrees\b(?=\s*[-+*/)])")
_MEASURED = re.compile(
    r"(?<=[A-Za-z])\s+(?:old|long|high|tall|wide|deep|away|apart|each|in\s+total|total)$"
)
_MULTIPLIERS = {
    "dozen": "12", "hundred": "10^2", "thousand": "10^3", "million": "10^6", "billion": "10^9", "trillion": "10^12", "lakh": "10^5",
    "crore": "10^7",
}  # fmt: skip
_MULTIPLIER = re.compile(
    r"(?<=\d)\s*(dozen|hundred|thousand|million|billion|trillion|lakh|crore)s?\b", re.IGNORECASE
)
_MAX_STARTS = 40
_LETTERS = frozenset("tlbd")  # alone these are variables: 4t
_MAX_UNIT_CHARS = 40


@lru_cache(maxsize=4096)
def split_unit(text: str) -> tuple[str, str]:
    """(quantity, canonical unit or ""): "12 square cm" -> ("12", "cm^2"), "5 apples" -> ("5", "#apple")."""
    text = _MULTIPLIER.sub(lambda word: f"*{_MULTIPLIERS[word[1].lower()]}", text)
    if "degrees" in text and not _TRIGONOMETRY.search(text):
        plain = _INNER_DEGREES.sub("", text)
        if plain != text:
            return split_unit(plain)[0], "degree"
    text = _MEASURED.sub("", text)
    if currency := _CURRENCY.match(text):
        sign = {"＄": "dollar", "€": "euro", "£": "sterling", "¥": "yen", "₹": "rupee"}
        name = sign.get(currency[2] or "", "") or parse_unit(currency[0].strip(" .").lower()) or ""
        quantity, after = split_unit((currency[1] or "") + text[currency.end() :])
        return quantity, after if after not in ("", name) else name
    numeric = _NUMERIC_QUANTITY.match(text)
    if numeric and numeric.end() < len(text):
        quantity, rest = numeric[1].strip(), text[numeric.end() :]
        unit = None if rest in _LETTERS else parse_unit(rest) or _counted(rest)
        if unit:
            return quantity.rstrip("*(").strip() if not rest.startswith(")") else text, unit
    return _symbolic_split(text)


def may_be_equal(left: str, right: str) -> bool:
    """Whether two quantities with these units can be equal: one is missing, the same, or general."""
    if left.startswith("base ") or right.startswith("base "):
        return left == right
    if left == right or not left or not right or {left, right} == {"unit"}:
        return True
    if left[0] == right[0] == "#":
        ours, theirs = set(left[1:].split()), set(right[1:].split())
        return ours <= theirs or theirs <= ours
    for general, other in ((left, right), (right, left)):
        if {general, other} == {"pound", "sterling"}:
            return True
        if general == "degree" and other in ("celsius", "fahrenheit"):
            return True
        if general == "unit":
            return "^" not in other or other[0] == "#"
        if general in ("unit^2", "unit^3"):
            return other.endswith(general[-2:]) and "*" not in other
    return False


@lru_cache(maxsize=2048)
def parse_unit(text: str) -> str | None:
    """The canonical form of a unit: "meters per second" -> "m*second^-1"; None if it is none."""
    text = text.strip()
    for pattern, name in _COMPOUND_NAMES:
        text = pattern.sub(name, text)
    text = _DIVISOR.sub(
        lambda divisor: "/" + "/".join(re.split(r"[\s*]+", divisor[1].strip())), text
    )
    powers: dict[str, int] = {}
    position, sign, before = 0, 1, 1
    if len(text) > _MAX_UNIT_CHARS:
        return None
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part.end() == position:
            return None
        position = part.end()
        if part["slash"]:
            sign = -1
        elif part["before"]:
            before = _POWER_WORDS[part["before"][0]]
        elif part["name"]:
            unit = _SHORT.get(part["name"]) or _LONG.get(part["name"].lower())
            if unit is None or len(powers) > 4:
                return None
            power = int(
                part["power"]
                or part["glued"]
                or _POWER_WORDS.get((part["after"] or " ")[0], before)
            )
            powers[unit] = powers.get(unit, 0) + sign * power
            sign, before = 1, 1
    return (
        "*".join(
            f"{unit}^{power}" if power != 1 else unit for unit, power in sorted(powers.items())
        )
        or None
    )


def _counted(rest: str) -> str | None:
    """The things counted, in the singular, behind a "#"."""
    if not rest[:1].isspace() and len(rest) < 4 and not _NOUNS.fullmatch(rest):
        return None
    words = rest.strip().casefold()
    if not _NOUNS.fullmatch(words) or _NO_NOUNS & set(words.replace("-", " ").split()):
        return None
    return "#" + " ".join(singular(word) for word in words.split() if word not in ("of", "the"))


def singular(word: str) -> str:
    """The word without the s of a plural."""
    is_plural = len(word) > 3 and word[-1] == "s" and word[-2] not in "sui"
    return word[:-1] if is_plural else word


def _symbolic_split(text: str) -> tuple[str, str]:
    """ "5 sqrt(2) cm": the longest tail that is a unit, behind something that can be a quantity."""
    if _TRIGONOMETRY.search(text):
        return text, ""
    for start in islice(_LETTER_START.finditer(text), _MAX_STARTS):
        quantity, tail = text[: start.start()].rstrip(), text[start.start() :]
        if not quantity or quantity[-1] in "+-*/^_=({[" or tail in _LETTERS:
            continue
        is_letter = len(tail) == 1 or not tail[1].isalnum()
        if is_letter and re.search(r"[A-Za-z]", _NAMES_IN_QUANTITY.sub("", quantity)):
            continue  # h of "pi r^2 h" is a letter, no hour
        if unit := parse_unit(tail):
            return quantity, unit
    return text, ""
