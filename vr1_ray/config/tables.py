"""Finding what a config names: a row of an extension's table, or `package.module:Name` for one kept outside.

    ROWS = {"grpo": Grpo, "vllm": "vr1_ray.rollout.vllm_engine:VLLMEngine"}

A row may be text: then its file is imported only where a config asks for it.
"""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vr1_ray.config.fields import by_key
from vr1_ray.config.schema import RunConfig

MOST_LISTED = 30  # options in a message; an engine has hundreds


def find(table: Mapping[str, Any], name: str, field: str, *, kind: type | None = None) -> Any:
    """What `name`, the value of the config's `field`, stands for. A class must be a `kind`, if one is given.

    Raises ValueError with field, value and cure.

    Example:
        find(ALGORITHMS, "grpo", "algorithm.name", kind=Algorithm)
        find(ALGORITHMS, "my_package.mine:Mine", "algorithm.name", kind=Algorithm)
    """
    row = table.get(name, name)
    if not isinstance(row, str):
        return row
    known = f"; known: {', '.join(sorted(table))}" if table else ""
    module_name, colon, attribute = row.partition(":")
    if not (module_name and colon and attribute):
        raise ValueError(
            f"{field}={name!r} is unknown{known}. "
            "Take one of these, or name your own as package.module:Name."
        )
    look_in_current_folder()
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a module that is broken can raise anything
        raise ValueError(
            f"{field}={name!r} can't be loaded ({type(error).__name__}: {error}){known}. Check that the module is installed, on PYTHONPATH "
            f"or in the current folder ({Path.cwd()}), and the name after the colon."
        ) from error
    if kind is not None and not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"{field}={name!r} is no {kind.__name__}; derive it from {kind.__name__}.")
    if kind is not None and inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ValueError(f"{field}={name!r} lacks {missing}; write what {kind.__name__} asks for.")
    return found


def find_function(name: str, field: str, *arguments: Any) -> Callable[..., Any]:
    """The function that `name`, as package.module:Name, stands for; it must take `arguments`.

    Raises ValueError with field, value and cure.
    """
    found = find({}, name, field)
    if not callable(found) or isinstance(found, type):
        raise ValueError(f"{field}={name!r} is no function; name one as package.module:Name.")
    try:
        inspect.signature(found).bind(*arguments)
    except TypeError as error:
        raise ValueError(f"{field}={name!r} can't be called as it will be: {error}.") from error
    return found


def check_options(
    found: Callable[..., Any], options: Mapping[str, Any], field: str, what: str, *arguments: Any
) -> None:
    """Refuse options that `found(*arguments, **options)` would not take, or lacks. Values are never printed.

    Raises ValueError with the field, the options that are taken, and what a slip of the pen may have meant.

    Example:
        check_options(Remote, {"ulr": "http://..."}, "rewards[0].options", "reward 'remote'")  # did you mean url?
    """
    parameters = list(inspect.signature(found).parameters.values())[len(arguments) :]
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = [one.name for one in parameters if one.kind in named]
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    unknown = [] if takes_all else [name for name in options if name not in takes]
    if unknown:
        raise ValueError(options_text(field, what, unknown, takes))
    try:
        inspect.signature(found).bind(*arguments, **options)
    except TypeError as error:
        known = f"options it takes: {', '.join(takes) or 'none'}"
        raise ValueError(f"{field} don't fit {what}: {error}; {known}.") from error


def options_text(field: str, what: str, unknown: Sequence[str], takes: Sequence[str]) -> str:
    """What is said of options that are not taken: those that are, and what was probably meant."""
    section = field.removesuffix("options")
    wrong = f"got an unexpected {', '.join(map(repr, unknown))}"
    own = [f"{section}{name}" for name in unknown if f"{section}{name}" in by_key(RunConfig)]
    near = [one for name in unknown for one in difflib.get_close_matches(name, takes, 1)]
    meant = f"; did you mean {', '.join(own or near)}?" if own or near else "."
    known = ", ".join(takes) if len(takes) <= MOST_LISTED else f"{len(takes)} of them"
    return f"{field} don't fit {what}: {wrong}; options it takes: {known or 'none'}{meant}"


def look_in_current_folder() -> None:
    """`vr1` is a console script, which does not have it on its path. Last, so that it shadows nothing."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
