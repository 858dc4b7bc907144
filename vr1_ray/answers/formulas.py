"""Chemical formulas in answers: "H_2O", "H₂O" and "H2O" are one, "CO" and "Co" are not.

Only spelling is free: indices with or without their sign, charges with or without theirs. Elements are told apart by
their case where both texts are formulas; "No" and "NO" stay words.
"""

import re
from functools import lru_cache

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc"
    " Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi"
    " Po At Rn Fr Ra Ac Th Pa U Np Pu"
)
_ELEMENT = "(?:" + "|".join(sorted(_ELEMENTS.split(), key=len, reverse=True)) + ")"
_GROUP = rf"(?:{_ELEMENT}\d{{0,3}})"
_FORMULA = re.compile(
    rf"(?:{_GROUP}|\({_GROUP}{{1,6}}\)\d{{0,3}}){{1,12}}(?P<charge>\^\d?[+-]|[+-])?"
)
_INDEX = re.compile(r"_\s*(?:\{\s*(\d{1,3})\s*\}|(\d))")
_CHARGE = re.compile(r"\^\s*[{(]?\s*(\d?)\s*([+-])\s*[)}]?")
_WORDS = frozenset(("no", "in", "as", "at", "i", "he", "be", "us", "of", "on", "os", "pa", "co-"))


def is_same_formula(left: str, right: str) -> bool | None:
    """Whether two plain texts are one formula; None if they aren't formulas, or if that doesn't decide."""
    one, other = _formula(left), _formula(right)
    if not one or not other or one.casefold() in _WORDS:
        return None
    if one == other:
        return True if any(sign.isdigit() or sign in "+-" for sign in one) else None
    is_spelled_same = one.casefold() == other.casefold()
    is_charged_otherwise = one.partition("^")[0] == other.partition("^")[0]
    return False if is_spelled_same or is_charged_otherwise else None


@lru_cache(maxsize=8192)
def _formula(text: str) -> str:
    """The formula in one spelling; "" for anything else."""
    if len(text) > 60 or not (text[:1].isupper() or text[:1] in "({"):
        return ""
    text = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else text
    if text[:1] == "{" and text[-1:] == "}":
        text = text[1:-1]
    text = _CHARGE.sub(r"^\1\2", _INDEX.sub(lambda index: index[1] or index[2], text))
    text = text.replace(" ", "")
    match = _FORMULA.fullmatch(text)
    if match is None:
        return ""
    return text[:-1] + "^" + text[-1] if match["charge"] and "^" not in text else text
