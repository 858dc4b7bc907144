"""What of a run is for who started it alone, and how a file gets there: everything a policy or a user wrote.

A folder decides: at its start a run makes these, for itself or, with `tracking.share`, as the umask says; whoever finds
one missing (on a node that does not see the run folder) makes it private. A file in one is as open as its folder.
"""

import os
from pathlib import Path

PRIVATE = ("logs", "rollouts", "evaluations", "benchmarks")
_OWNER_ALONE, _AS_UMASK = 0o700, 0o777


def private_folder(folder: Path) -> Path:
    """The folder, made for this user alone if it was not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=_OWNER_ALONE, exist_ok=True)
    return folder


def as_folder(path: str, flags: int) -> int:
    """The `opener` of a file that who may not enter its folder may not read either.

    Example:
        open(folder / "error.log", "a", opener=as_folder)
    """
    return os.open(path, flags, os.stat(os.path.dirname(path) or ".").st_mode & 0o666)


def make_folders(run_folder: Path, names: tuple[str, ...], *, is_shared: bool) -> None:
    """Make these folders of a run, and have all that are private, also an earlier start's, as this start's config says.

    Raises OSError if one is another user's.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    mode = _AS_UMASK & ~umask if is_shared else _OWNER_ALONE
    for folder in (run_folder / name for name in PRIVATE):
        if folder.name in names:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        if not folder.is_dir() or folder.stat().st_mode & 0o777 == mode:
            continue
        folder.chmod(mode)
        if folder.name == "logs":
            for path in folder.iterdir():
                path.chmod(mode & 0o666)
