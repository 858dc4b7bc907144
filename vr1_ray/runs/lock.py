"""One process a run folder: who holds it, and how one that is lost is taken over. Also on NFS, without its locks.

    runs/NAME/lock/000003.json    the holder: host, process, job; touched every few seconds
                   000003.free    given back

The highest number holds. To take the folder is to make the next one, which only one process can (an exclusive
creation), and nothing of the holder before is written to. So one that was stopped and wakes can undo nothing: it finds
a higher number, and ends. It looks before everything it writes: `_watch` has Python say so before it opens, renames or
removes anything in the folder; what writes into a file that is open already calls `look`.

A holder is gone if its process is, where that can be seen; how old its heartbeat is counts only for one of another
machine or container. A minute is also longer than NFS may remember names and times.
"""

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from vr1_ray.config import ConfigError
from vr1_ray.runs.process import Holder, process_space, process_start, this_holder

LOCK = "lock"
BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
POLL_SECONDS = 1.0
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")

logger = logging.getLogger(__name__)


class RunLockedError(ConfigError):
    """Another process is at this run folder."""


class LockLostError(RuntimeError):
    """Another process has taken the run folder over: this one may write nothing more."""


class RunLock:
    """A run folder that this process holds.

    Example:
        with held(config.folder):
            write_json(config.folder / "state.json", {})    # LockLostError if another has taken the folder over
    """

    def __init__(self, folder: Path, number: int, text: str) -> None:
        self.folder, self.file = folder.absolute(), lock_file(folder, number).absolute()
        self.number, self.text = number, text
        self.made: list[Path] = []  # folders that were not there before
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="run_lock", daemon=True)
        self._beating.start()

    def look(self) -> None:
        """Raise LockLostError if the folder is no longer this process's."""
        if not self.is_ours():
            now = holder(self.folder)
            raise LockLostError(
                f"{self.folder}: this process was taken for lost and the run is another's: "
                f"{now or 'its lock is gone'}; nothing more is written here"
            )

    def release(self) -> None:
        """Give the folder back; one that nothing was written to is removed."""
        self._ended.set()
        self._beating.join(STALE_SECONDS)
        if not self.is_ours():
            return
        if self.made and [path.name for path in self.folder.iterdir()] == [LOCK]:
            self.file.unlink()
            with suppress(OSError):  # another run may have come into a folder above
                for path in (self.file.parent, *self.made):
                    path.rmdir()
        else:
            self.file.rename(self.file.with_suffix(".free"))

    def is_ours(self) -> bool:
        """Whether the folder is still this process's."""
        try:
            is_there = self.file.read_text(encoding="utf-8") == self.text
            return is_there and newest(self.folder) == self.number
        except FileNotFoundError:
            return False

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if not self.is_ours():
                    return  # whoever writes next ends with it
                os.utime(self.file)  # needs no room, unlike writing to it
            except OSError as error:
                logger.warning("%s: the run's heartbeat could not be written: %s", self.file, error)


@contextmanager
def held(folder: Path, *, is_shared: bool = False) -> Iterator[RunLock]:
    """A block in which this process alone writes to a run folder.

    Raises RunLockedError if another process is at it, ConfigError if the folder can't be made.
    """
    lock = take(folder, is_shared=is_shared)
    if not _held:
        _watch_once()
    _held[str(lock.folder)] = _held[os.path.realpath(lock.folder)] = lock
    try:
        yield lock
    finally:
        for name in [name for name, one in _held.items() if one is lock]:
            del _held[name]
        lock.release()


def take(folder: Path, *, is_shared: bool = False) -> RunLock:
    """Make the run folder this process's. One whose holder is on another machine may be waited for, and that is told."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).mkdir(mode=0o777 if is_shared else 0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"runs_folder: the run folder {folder} can't be made ({error.strerror}: {error.filename}); give a folder that "
            "you may write to"
        ) from error
    if not os.access(folder / LOCK, os.R_OK | os.W_OK | os.X_OK):
        raise _refusal(folder, f"user {_owner(folder / LOCK)}")
    while True:
        number = newest(folder)
        if number and lock_file(folder, number).exists():
            _wait_until_gone(folder, number)
        try:
            lock = _create(folder, number + 1, 0o666 if is_shared else 0o600)
        except FileExistsError:
            continue  # another was quicker: look at that one
        if not lock.is_ours():  # two were, one behind the other
            lock.release()
            continue
        for path in (folder / LOCK).iterdir():
            if _number(path) <= number:
                path.unlink(missing_ok=True)
        lock.made = made
        return lock


def holder(folder: Path) -> Holder | None:
    """Who holds a run folder, or held it last without giving it back; None for one that is free or can't be looked at."""
    with suppress(OSError, ValueError, TypeError):
        path = lock_file(folder, newest(folder))
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    return None


def look(folder: Path) -> None:
    """Before writing into a file of a run that is open already: LockLostError if the run is no longer this process's."""
    path = os.path.abspath(folder)
    for name, lock in list(_held.items()):
        if path == name or path.startswith(name + os.sep):
            lock.look()


def newest(folder: Path) -> int:
    """The number of the folder's present or last holder; 0 if there never was one."""
    try:
        return max(map(_number, (folder / LOCK).iterdir()), default=0)
    except FileNotFoundError:
        return 0


def lock_file(folder: Path, number: int) -> Path:
    """Where the holder of a number says who it is, until it gives the folder back."""
    return folder / LOCK / f"{number:06d}.json"


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else 0


def _create(folder: Path, number: int, mode: int) -> RunLock:
    if lock_file(folder, number).with_suffix(".free").exists():
        raise FileExistsError
    path = lock_file(folder, number)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    text = json.dumps(asdict(this_holder()))
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk: one that says nothing would be waited for by the next
        path.unlink(missing_ok=True)
        raise
    return RunLock(folder, number, text)


def _wait_until_gone(folder: Path, number: int) -> None:
    """Return when the holder of this number is gone or another's turn has come; RunLockedError while it lives."""
    path = lock_file(folder, number)
    began = time.monotonic()
    first, told = _beat_of(path), False
    while first is not None:
        found = holder(folder)
        if newest(folder) != number:
            return
        is_seen = found is not None and found.space == process_space() != ""
        if found is not None and is_seen and found.host == socket.gethostname():
            if process_start(found.pid) != found.process_start:
                logger.info("%s: taken over from %s, which is gone", folder, found)
                return
            raise _refusal(folder, str(found))
        who = str(found) if found else f"a process of {_owner(path)}"
        if _beat_of(path) not in (first, None):
            raise _refusal(folder, who)
        if time.monotonic() - began >= STALE_SECONDS:
            logger.info(
                "%s: taken over from %s: no heartbeat for %.0f s", folder, who, STALE_SECONDS
            )
            return
        if not told:
            told = True
            logger.info(
                "%s: held by %s; waiting up to %.0f s for its heartbeat, for from here its process can't be seen",
                folder, who, STALE_SECONDS,
            )  # fmt: skip
        time.sleep(POLL_SECONDS)
        first = None if _beat_of(path) is None else first


def _refusal(folder: Path, who: str) -> RunLockedError:
    return RunLockedError(
        f"{folder}: is held by {who}, and a run has one process; wait until it has ended, stop it, or "
        "give this one another name=..."
    )


def _beat_of(path: Path) -> int | None:
    """When the holder last touched its file, in its file system's own time; None if it is gone.

    The file is opened for it: that is what makes NFS ask its server.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "another user"


_held: dict[str, RunLock] = {}  # by the run folder, absolute and without links
_is_watching = threading.Lock()


def _watch_once() -> None:
    """Have Python tell before it changes files; a hook stays until the process ends, and asks only what is held."""
    if _is_watching.acquire(blocking=False):
        sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple) -> None:
    if not _held:
        return
    if event == "open":
        if isinstance(arguments[2], int) and arguments[2] & _WRITES:
            _look_at(arguments[0])
    elif event in _CHANGES:
        for path in arguments[:2]:  # of a renaming both
            _look_at(path)


def _look_at(path: object) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return  # of a file that is open already
    name = os.path.abspath(os.fsdecode(path))
    for folder, lock in list(_held.items()):
        in_folder = name.removeprefix(folder + os.sep)
        if in_folder != name and in_folder.split(os.sep)[0] != LOCK:
            lock.look()
