"""What libraries print while a command works goes to a file: vLLM, Transformers, Hugging Face, Ray, and C code below them.

The terminal is for the command's own lines. The file is removed if all went well, and named if not; in the folder of a run
it stays.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vr1_ray.tracking.privacy import as_folder, private_folder

PRINTED = "libraries.log"  # in the `logs` of a run
_streams: list[TextIO] = []  # of the quiet blocks under way: where the user reads


def to_user() -> TextIO:
    """Where a line for the user goes: standard error, also while that is a file for others."""
    return _streams[-1] if _streams else sys.stderr


class Talk:
    """The file that holds what was printed; `keep` it where something went wrong.

    Example:
        with quiet("check") as talk:
            rows = run_check(config)
            if not is_sound(rows):
                talk.keep()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_kept = False

    def keep(self) -> None:
        self.is_kept = True

    @property
    def where(self) -> str:
        """A line that names the file; "" if there is nothing in it, or it is gone."""
        has_text = self.path.is_file() and self.path.stat().st_size > 0
        return f"what libraries printed: {self.path}" if has_text else ""


@contextmanager
def quiet(command: str, logs: Path | None = None) -> Iterator[Talk]:
    """A block in which standard error, of this process and of those it starts, is a file. An error in it names the file.

    A run gives its folder of `logs`: the file stays there, and a later start's goes on in it.
    """
    descriptor, talk = _file(command, logs)
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    is_plain = sys.stderr is sys.__stderr__  # else it is somebody's own, and stays
    stream = os.fdopen(os.dup(before), "w", buffering=1) if is_plain else sys.stderr
    _streams.append(stream)
    try:
        yield talk
    except Exception as error:
        talk.keep()
        sys.stderr.flush()
        if talk.where:
            error.add_note(talk.where)
        raise
    finally:
        sys.stderr.flush()
        _streams.pop()
        if is_plain:
            stream.close()
        os.dup2(before, 2)
        os.close(before)
        if not talk.is_kept or not talk.where:
            talk.path.unlink(missing_ok=True)


def _file(command: str, logs: Path | None) -> tuple[int, Talk]:
    if logs is None:
        descriptor, name = tempfile.mkstemp(prefix=f"vr1_{command}_", suffix=".log")
        return descriptor, Talk(Path(name))
    talk = Talk(private_folder(logs) / PRINTED)
    talk.keep()
    return as_folder(str(talk.path), os.O_WRONLY | os.O_CREAT | os.O_APPEND), talk
