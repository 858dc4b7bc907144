"""What is said of a `${...}` that can't be filled in. How one is filled in is OmegaConf's matter."""

import os
import re
from collections.abc import Iterator
from typing import Any

from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import parse

from vr1_ray.config.given import Fault, flat
from vr1_ray.config.shape import near_miss

_FORMS = r"write ${section.key} or ${oc.env:NAME}, or \${ for a text"
_WANTED = {
    "Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a text",
    "string": "a text",
}  # fmt: skip


def broken_interpolations(tree: dict[str, Any]) -> Iterator[Fault]:
    """The values of a tree whose `${...}` is not written as one."""
    for key, value in flat(tree).items():
        if isinstance(value, str) and "${" in value:
            try:
                parse(value)
            except GrammarParseError:
                yield key, broken(value)


def broken(value: str) -> str:
    """What is said of a `${` that is no interpolation."""
    return f"{value!r} has a '${{' without what belongs to it; {_FORMS}"


def why_not_filled_in(error: Exception) -> str:
    """What is wrong with an interpolation of the right form, and the cure, from the error of OmegaConf."""
    said = str(error).strip().split("\n")[0].rstrip(".")
    lost = re.search(r"Interpolation key '(.*)' not found", said)
    if lost:
        name = lost[1].lstrip(".")
        meant = f"did you mean ${{oc.env:{name}}}?" if name in os.environ else near_miss(name)
        return f"${{{lost[1]}}} names no key of this config; {meant}"
    absent = re.search(r"Environment variable '(.*)' not found", said)
    if absent:
        return f"the environment variable {absent[1]} is not set; set it, or write ${{oc.env:{absent[1]},DEFAULT}}"
    if "Recursive interpolation" in said or isinstance(error, RecursionError):
        return "leads back to itself; give one of the keys a value"
    kind = re.search(r"Unsupported interpolation type (\S+)", said)
    if kind:
        return f"${{{kind[1]}:...}} is no form that is known; {_FORMS}"
    return _of_wrong_type(said) or said


def _of_wrong_type(said: str) -> str:
    source = re.search(r"While dereferencing interpolation '([^']*)'", said)
    name = source[1] if source else "it"
    value = re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", said)
    if value:
        return f"{name} stands for {value[1]!r:.80}; give {_WANTED.get(value[2], value[2])}"
    section = re.search(r"Cannot convert '(\w+)' to (\w+)", said)
    if section:
        what = "a list" if "list" in section[1].lower() else "a section"
        return f"{name} stands for {what}, and this is {_WANTED.get(section[2], section[2])}; name one of its keys"
    return ""


FILLING_ERRORS = (OmegaConfBaseException, ValueError, RecursionError)
