"""Finding what a config names: a row of an extension's table, or `package.module:Name` for one kept outside.

    ROWS = {"grpo": Grpo, "vllm": "vr1_ray.rollout.vllm_engine:VLLMEngine"}

A row may be text: then its file is imported only where a config asks for it.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{field}={name!r} can't be loaded ({error}){known}. Check that the module is installed, on PYTHONPATH "
            f"or in the current folder ({Path.cwd()}), and the name after the colon."
        ) from error
    if kind is not None and not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"{field}={name!r} is no {kind.__name__}; derive it from {kind.__name__}.")
    return found


def look_in_current_folder() -> None:
    """`vr1` is a console script, which does not have it on its path. Last, so that it shadows nothing."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
