"""What every actor's process needs: the name of its run's namespace, and where its output goes.

Imports little: the actors that hold no model (reward, curriculum, control) start in a moment and stay small.
"""

import os
import sys
from pathlib import Path

from vr1_ray.config import RunConfig


def namespace(config: RunConfig) -> str:
    """The Ray namespace of a run: its named actors are found there from another process."""
    return "vr1-" + config.name.replace("/", "-")


def write_output_to(folder: str, name: str) -> None:
    """Send this process's stdout and stderr, also those of libraries and children, to FOLDER/NAME.log."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
