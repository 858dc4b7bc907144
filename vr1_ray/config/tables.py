"""Finding what a config names: a row of an extension's table, or `package.module:Name` for one kept outside.

    ROWS = {"grpo": Grpo, "vllm": "vr1_ray.rollout.vllm_engine:VLLMEngine"}

A row may be text: then its file is imported only where a config asks for it. `folder/file.py:Name` names a file by
its path, which counts from the folder the command runs in.
"""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from vr1_ray.config.fields import by_key
from vr1_ray.config.schema import RunConfig
from vr1_ray.wording import did_you_mean, nearest

MOST_LISTED = 30  # options in a message; an engine has hundreds
MOST_NEAR = 8  # of those that are like the one that was given


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
            f"{field}={name!r} is unknown{known}.{did_you_mean(name, table)} "
            "Take one of these, or name your own as package.module:Name or file.py:Name."
        )
    look_in_current_folder()
    module = None
    try:
        module = _module(module_name)
        found = getattr(module, attribute)
    except Exception as error:  # a module that is broken can raise anything
        cure = _cure(module_name, error) if module is None else _names_in(module, attribute)
        raise ValueError(
            f"{field}={name!r} can't be loaded ({type(error).__name__}: {error}){known}. {cure}"
        ) from error
    if kind is not None and not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"{field}={name!r} is no {kind.__name__}; derive it from {kind.__name__}.")
    if kind is not None and inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ValueError(f"{field}={name!r} lacks {missing}; write what {kind.__name__} asks for.")
    return found


def _module(name: str) -> ModuleType:
    """A module by its name, or a file by its path; each file is executed once."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = _file(Path(name).expanduser())
    own_name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if own_name in sys.modules:
        return sys.modules[own_name]
    spec = importlib.util.spec_from_file_location(own_name, path)
    assert spec is not None  # of a .py file there is always one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for the files beside it
    sys.modules[own_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own_name]
        raise
    return module


def _file(path: Path) -> Path:
    """The file, from the current folder or one that Python looks in: actors have the driver's path, not its folder."""
    found = next(
        (place / path for place in (Path(), *map(Path, sys.path)) if (place / path).is_file()), None
    )
    if found is None:
        raise FileNotFoundError(f"{path} is no file")
    return found.resolve()


def _cure(name: str, error: Exception) -> str:
    """What to do about a module that can't be imported: it is not found, or its code is broken."""
    if isinstance(error, FileNotFoundError) and name.endswith(".py"):
        return f"Give the file's path from the current folder ({Path.cwd()}), or whole."
    is_absent = isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")
    if is_absent:
        return (
            f"Install the module, or put it on PYTHONPATH or into the current folder ({Path.cwd()}); a file elsewhere "
            "is named by its path, as folder/file.py:Name."
        )
    return "Mend what its code raises when it is imported."


def _names_in(module: ModuleType, name: str) -> str:
    public = [one for one in vars(module) if not one.startswith("_")]
    names = ", ".join(public[:12]) or "it has none yet"
    meant = did_you_mean(name, public)
    return f"Take a name of {module.__name__} after the colon: {names}.{meant}"


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
    near = [one for name in unknown if (one := nearest(name, takes))]
    meant = f"; did you mean {', '.join(own or near)}?" if own or near else "."
    known = ", ".join(takes) if len(takes) <= MOST_LISTED else _nearest(unknown, takes)
    return f"{field} don't fit {what}: {wrong}; options it takes: {known or 'none'}{meant}"


def _nearest(unknown: Sequence[str], takes: Sequence[str]) -> str:
    """Of many options those that are most like the unknown ones: by their letters, or a word they share."""
    words = {word for name in unknown for word in name.lower().split("_") if len(word) > 2}
    close = [one for name in unknown for one in difflib.get_close_matches(name, takes, 5, 0.5)]
    alike = sorted(
        (one for one in takes if words & set(one.split("_"))),
        key=lambda one: (-len(words & set(one.split("_"))), len(one)),
    )
    found = list(dict.fromkeys([*close[:5], *alike]))[:MOST_NEAR]
    return (
        f"{len(takes)}, the nearest {', '.join(found)}" if found else f"{len(takes)}, none like it"
    )


def look_in_current_folder() -> None:
    """`vr1` is a console script, which does not have it on its path. Last, so that it shadows nothing."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
