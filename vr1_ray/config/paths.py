"""Paths as people write them: `~` and `$NAME` in a config and on the command line mean what they mean in a shell. URLs are
none.

A setting that names a file or folder has the type `PathText`; the value that a run gets is written out. (`${...}` is
OmegaConf's.)
"""

import os
import re
from typing import Annotated, Any, Union, get_args, get_origin

IS_PATH = "path"
PathText = Annotated[str, IS_PATH]
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ON_THE_HUB = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:datasets/)?([\w.-]+/[\w.-]+)/?(?:tree/\w+/?)?"
)
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


def written_out(path: str) -> str:
    """The path with its `~` and `$NAME` filled in; what can't be filled in stays.

    Example:
        written_out("~/runs"), written_out("$SCRATCH/runs")     # "/home/me/runs", "/scratch/me/runs"
    """
    return os.path.expanduser(_VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), path))


def no_path(path: str) -> str:
    """What is wrong with a URL, or a path whose `~` or `$NAME` can't be filled in, and the cure; "" where all is well."""
    if _URL.match(path):
        hub = _ON_THE_HUB.fullmatch(path)
        cure = f"give its name on the hub, {hub[1]}" if hub else "download it, and give its path"
        return f"{path!r:.200} is a URL; {cure}"
    left = written_out(path)
    if os.path.exists(left):  # a file may have such a name
        return ""
    for name in _VARIABLE.findall(left):
        return (
            f"{path!r}: the environment variable {name} is not set; set it, or write the path out"
        )
    if left.startswith("~"):
        user = left.partition("/")[0]
        return f"{path!r}: this machine knows no home of {user}; write the path out"
    return ""


def is_path(hint: Any) -> bool:
    """Whether a type, or what its list holds, is a path."""
    if get_origin(hint) is Annotated:
        return IS_PATH in get_args(hint)[1:] or is_path(get_args(hint)[0])
    return get_origin(hint) in (Union, list) and any(map(is_path, get_args(hint)))
