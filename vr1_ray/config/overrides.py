"""`key=value` overrides: how one is read, and put into a tree of YAML values.

A place in a list is counted from 0, in either form: `curriculum.stages[0].steps=2`, `curriculum.stages.0.steps=2`. A
mapping is merged with what is there, a list replaces it.
"""

import logging
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from vr1_ray.config.errors import ConfigError
from vr1_ray.config.given import keys_in
from vr1_ray.config.interpolation import broken

log = logging.getLogger(__name__)

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Override:
    """One override, read.

    Example:
        read_override("curriculum.stages.0.steps=2").key    # "curriculum.stages[0].steps"
    """

    text: str
    path: Path
    value: Any
    in_a_step: str = ""  # how a recipe's step is told apart, for messages

    @property
    def key(self) -> str:
        """The key as messages write it."""
        return key_of(self.path)

    @property
    def keys(self) -> list[str]:
        """The keys that it sets: several, if its value is a mapping."""
        if isinstance(self.value, dict):
            return list(keys_in(self.value, f"{self.key}."))
        return [self.key]


def read_overrides(texts: Sequence[str]) -> list[Override]:
    """All of a command line. What is set twice counts as it was set last, and a warning says so.

    Raises ConfigError as `read_override` does.
    """
    read = [read_override(text) for text in texts]
    texts_by_key: dict[str, str] = {}
    for override in read:
        for key in override.keys:
            below = (f"{key}.", f"{key}[")
            lost = [one for one in texts_by_key if one == key or one.startswith(below)]
            for text in dict.fromkeys(texts_by_key.pop(one) for one in lost):
                if text != override.text:
                    log.warning("command line: %s replaces %s before it", override.text, text)
            texts_by_key[key] = override.text
    return read


def read_override(text: str) -> Override:
    """Raises ConfigError for a text that is no `key=value`, or whose value is no YAML."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"command line: {text!r} has no '=': write key=value, such as seed=1")
    key = key.strip()
    if not re.fullmatch(r"[^\s.\[\]]+(\.[^\s.\[\]]+|\[[^\[\]]*\])*", key):
        raise ConfigError(
            f"command line: {text!r}: {key!r} is no key; write section.name=value, or list[0].name=value"
        )
    path = tuple(map(_part, re.findall(r"\[[^\[\]]*\]|[^.\[\]]+", key)))
    try:
        tree: Any = OmegaConf.to_container(
            OmegaConf.from_dotlist([f"value={value}" if value else "value=''"])
        )
    except GrammarParseError as error:
        raise ConfigError(f"command line: {text}: {broken(value)}") from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        first = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"command line: {text!r}: its value is no YAML ({first}); quote it, or close its brackets"
        ) from error
    return Override(text=text, path=path, value=tree["value"])


def _part(text: str) -> str | int:
    """A step of a path: a name, a place in a list, or, with its brackets, what is neither."""
    inner = text.strip("[]")
    return int(inner) if inner.isascii() and inner.isdigit() else text


def key_of(path: Path) -> str:
    """A path as messages write it.

    Example:
        key_of(("curriculum", "stages", 0, "steps"))    # "curriculum.stages[0].steps"
    """
    parts = (
        f"[{part}]" if isinstance(part, int) else part if part[:1] == "[" else f".{part}"
        for part in path
    )
    return "".join(parts).removeprefix(".")


def put(tree: dict[str, Any], override: Override, below: Callable[[Path], Any]) -> None:
    """Set one override in the tree. `below` gives what is at a path that the tree doesn't have: a default.

    Raises ConfigError for a place that a list doesn't have, or a key below a plain value.
    """
    here: Any = tree
    if tree.get("kind") == "recipe" and override.path[0] != "steps":
        override = replace(override, in_a_step=f"; of one step: steps.NAME.{override.key}=...")
    *way, last = override.path
    for depth, part in enumerate(way, start=1):
        _check_place(here, part, override, depth)
        inner = _at(here, part)
        if inner is None:
            default = below(override.path[:depth])
            inner = deepcopy(default) if isinstance(default, list) else {}
            here[part] = inner
        here = inner
    _check_place(here, last, override, len(override.path))
    here[last] = _merged(_at(here, last), override.value)


def _at(here: Any, part: Any) -> Any:
    return here.get(part) if isinstance(here, dict) else here[part]


def _merged(before: Any, value: Any) -> Any:
    if not (isinstance(before, dict) and isinstance(value, dict)):
        return value
    return before | {key: _merged(before.get(key), one) for key, one in value.items()}


def _check_place(here: Any, part: str | int, override: Override, depth: int) -> None:
    where = key_of(override.path[: depth - 1])
    place = part if isinstance(part, str) and part.startswith("[") else f"[{part}]"
    if isinstance(here, list):
        if isinstance(part, int) and part < len(here):
            return
        last = f" to [{len(here) - 1}]" if here[1:] else ""
        places = f"[0]{last}" if here else "none"
        wrong = f"the list {where} has no place {place}; its places: {places}"
    elif isinstance(here, dict):
        if isinstance(part, str) and place != part:
            return
        wrong = f"{where} is no list, so it has no place {place}"
    else:
        wrong = f"{where} is {here!r}, which has no keys; set it as a whole"
    raise ConfigError(f"command line: {override.text}: {wrong}{override.in_a_step}")
