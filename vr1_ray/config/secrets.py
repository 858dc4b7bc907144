"""No secret in a config: the resolved config is written into the run folder, and from there it travels.

Keys are taken from the environment of the process that needs them; a config names the variable at most
(`api_key_env: MY_KEY`).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vr1_ray.config.schema import RunConfig

SECRET_KEY = re.compile(
    r"(^|[_-])(api[_-]?key|secret|password|passwd|authorization|(access|auth|bearer|hf)[_-]token|private[_-]key)$",
    re.IGNORECASE,
)
SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
LOGIN_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
SHORTEST = 8  # characters of a value that is looked for: a shorter one may be any word


def secrets_in(config: RunConfig) -> Iterator[str]:
    """One line per field that holds a secret: the field and the cure, never the value."""
    variables = {
        value: name
        for name, value in os.environ.items()
        if SECRET_VARIABLE.search(name) and len(value) >= SHORTEST
    }
    for field, value in _texts(asdict(config), ""):
        variable = next((name for secret, name in variables.items() if secret in value), None)
        if variable is not None:
            reason = f"holds the value of the environment variable {variable}"
        elif SECRET_KEY.search(field.rpartition(".")[2]):
            reason = "is a secret by its name"
        elif LOGIN_IN_URL.search(value):
            reason = "holds a URL with a password"
        else:
            continue
        yield (
            f"{field}: {reason} (its value isn't shown); the config is written into the run folder, so leave it out "
            "and have the environment hold it: rewards take the variable's name as api_key_env"
        )


def _texts(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """(field, text) of all texts in a tree that are not empty."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from _texts(value, f"{path}[{index}]")
    elif isinstance(tree, str) and tree:
        yield path, tree
