"""What every actor's process needs: the name of its run's namespace, where its output goes, and when it must end.

Imports little: the actors that hold no model (reward, curriculum, control) start in a moment and stay small.
"""

import os
import sys
import threading
import time
from pathlib import Path

from vr1_ray.config import RunConfig
from vr1_ray.tracking.privacy import as_folder, private_folder

LOOK_SECONDS = 2.0  # between two looks for the raylet


def namespace(config: RunConfig) -> str:
    """The Ray namespace of a run: its named actors are found there from another process."""
    return "vr1-" + config.name.replace("/", "-")


def begin_process(folder: str, name: str) -> None:
    """What an actor does first: its output goes to FOLDER/NAME.log, and it ends with its raylet."""
    end_with_raylet()
    _write_output_to(folder, name)


def end_with_raylet(every_seconds: float = LOOK_SECONDS) -> None:
    """Let this process end soon after the one that started it, Ray's raylet, whatever ended that.

    Ray's workers look for that themselves, but a raylet that its own parent has not collected (a container whose
    process 1 collects none) is alive to them: engines and trainer ranks would stay, and keep their GPUs.
    """
    raylet = os.getppid()

    def look() -> None:
        while os.getppid() == raylet:
            time.sleep(every_seconds)
        os._exit(1)  # nobody is left to hand anything to

    threading.Thread(target=look, name="end_with_raylet", daemon=True).start()


def _write_output_to(folder: str, name: str) -> None:
    """Send this process's stdout and stderr, also those of libraries and children, to FOLDER/NAME.log."""
    path = private_folder(Path(folder)) / f"{name}.log"
    descriptor = as_folder(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
