"""A local Ray in a session of its own: a signal for the run's process group reaches the run, and not Ray under it.

`timeout`, job scripts and supervisors end a process group, not a process. Ray's processes would be in it, and end
before the run has saved. They end with the run all the same: the kernel tells them of its death.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import services, utils


@contextmanager
def own_session() -> Iterator[None]:
    """A block in which Ray starts its processes in sessions of their own; Ray itself has no setting for that.

    Nothing is changed where the kernel can't end them with the run: there Ray does it by the process group.
    """
    module: Any = services
    plain: Any = getattr(module, "ConsolePopen", None)
    if plain is None or not utils.detect_fate_sharing_support():
        sys.stderr.write(
            "note: Ray's processes share the run's process group: send SIGTERM to the run alone\n"
        )
        yield
        return

    class InOwnSession(plain):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"start_new_session": True})

    module.ConsolePopen = InOwnSession
    try:
        yield
    finally:
        module.ConsolePopen = plain
