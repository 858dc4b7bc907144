"""How messages say a count, and what a name that does not exist was probably meant to be. Any part may say either."""

import difflib
from collections.abc import Iterable

LIKENESS = 0.6  # from which a name is taken for a slip of the pen; 1 is the same


def counted(number: int, noun: str) -> str:
    """A number with its noun, the last word of `noun`, in the singular or plural; thousands are set apart.

    Example:
        counted(1, "row"), counted(2, "training prompt"), counted(4000, "reply")
        # "1 row", "2 training prompts", "4,000 replies"
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a regular English noun.

    Example:
        plural("row"), plural("reply"), plural("batch")    # "rows", "replies", "batches"
    """
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def nearest(name: str, known: Iterable[str], likeness: float = LIKENESS) -> str:
    """The known name that `name` was probably meant to be, "" if there is none. Case, `-` and `_` are free.

    Example:
        nearest("Hard-Format", ["hard_format", "soft_format"])    # "hard_format"
    """
    plain = {_plain(one): one for one in known}
    close = difflib.get_close_matches(_plain(name), plain, 1, likeness)
    return plain[close[0]] if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question, with a space before it; "" if nothing is near.

    Example:
        did_you_mean("gpro", ["grpo", "rloo"])    # " Did you mean grpo?"
    """
    found = nearest(name, known)
    return f" Did you mean {found}?" if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
