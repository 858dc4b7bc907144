"""SIGTERM: a scheduler takes the machine back, or `ray job stop`. The run saves, and exits with 143.

The first SIGTERM is answered at the next step boundary, with a checkpoint; where there is nothing to save
it ends the work at once. A second one ends the process at once. KeyboardInterrupt is left as it is.

What a handler may do is little. Ray's waits run it promptly and go on waiting, but whatever it raises
inside them comes out as `SystemExit(1)`. So inside a step it only sets a flag, and `interruptible` gives
an exception its meaning back.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM  # 143: what a shell reports for a process that SIGTERM ended


class Stopped(SystemExit):
    """The run ends because of a SIGTERM. Not caught, it ends the process with code 143."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class StopSignal:
    """The SIGTERM of this process: one for all runs of a recipe.

    Example:
        stop = StopSignal()
        stop.listen()
        with stop.interruptible():           # a SIGTERM raises Stopped
            read_inputs()
            with stop.held():                # a SIGTERM sets is_requested
                for step in steps:
                    train(step)
                    if stop.is_requested:
                        save(step)
                    stop.check()             # raises Stopped
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._is_held = False

    def listen(self) -> None:
        """Take SIGTERM; in the main thread. Call it again after `ray.init`, which puts its own handler there."""
        signal.signal(signal.SIGTERM, self._receive)

    def check(self) -> None:
        """Raise Stopped if a SIGTERM has come."""
        if self.is_requested:
            raise Stopped

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that a SIGTERM does not interrupt: it asks for itself, with `is_requested` or `check`."""
        before, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = before

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that a SIGTERM ends at once, also inside a wait for actors, by raising Stopped."""
        before, self._is_held = self._is_held, False
        try:
            self.check()
            yield
        except SystemExit as error:
            if isinstance(error, Stopped):
                raise
            # Of our own handler inside a wait, or of Ray's own, which exits with the number of the signal.
            if self.is_requested or error.code == signal.SIGTERM:
                raise Stopped from error
            raise
        finally:
            self._is_held = before

    def _receive(self, number: int, frame: Any) -> None:
        if self.is_requested:
            # No clean-up may keep the process: Ray's own processes end with their driver.
            os._exit(EXIT_CODE)
        self.is_requested = True
        if not self._is_held:
            raise Stopped
        # Not print: the signal may have come in the middle of one.
        os.write(
            2,
            b"vr1: SIGTERM: the run saves and ends after this step; a second one ends it at once\n",
        )
