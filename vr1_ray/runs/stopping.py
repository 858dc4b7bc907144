"""SIGTERM and Ctrl-C: a scheduler takes the machine back, `ray job stop`, or a person. The run saves, then it ends.

The first SIGTERM is answered at the next step boundary, with a checkpoint and exit code 143; where there is nothing
to save it ends the work at once. Ctrl-C inside training is answered alike, with 130; elsewhere it is a
KeyboardInterrupt. A second signal ends the process at once. `timeout` sends its one SIGTERM twice, to the process
and to its group: what comes within a second of the first is the same.

What a handler may do is little. Ray's waits run it promptly and go on waiting, but whatever it raises
inside them comes out as `SystemExit(1)`. So inside a step it only sets a flag, and `interruptible` gives
an exception its meaning back.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM  # 143: what a shell reports for a process that SIGTERM ended
SAME_SECONDS = 1.0  # signals that come closer together were sent as one


class Stopped(SystemExit):
    """The run ends because of a signal. Not caught, it ends the process with code 143, or 130 after Ctrl-C."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.cause = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class StopSignal:
    """The SIGTERM or Ctrl-C of this process: one for all runs of a recipe.

    Example:
        stop = StopSignal()
        stop.listen()
        with stop.interruptible():           # a SIGTERM raises Stopped
            read_inputs()
            with stop.held():                # a SIGTERM or Ctrl-C sets is_requested
                for step in steps:
                    train(step)
                    if stop.is_requested:
                        save(step)
                    stop.check()             # raises Stopped
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._number: int = signal.SIGTERM
        self._came = 0.0
        self._is_held = False
        self._num_held = 0  # held blocks around, also where one inside them may be interrupted

    def listen(self) -> None:
        """Take the signals; in the main thread. Call it again after `ray.init`, which puts its own handler there."""
        signal.signal(signal.SIGTERM, self._receive)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job of a shell's
            signal.signal(signal.SIGINT, self._receive)  # background has it ignored

    def check(self) -> None:
        """Raise Stopped if a signal has come."""
        if self.is_requested:
            raise Stopped(self._number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that a signal does not interrupt: it asks for itself, with `is_requested` or `check`."""
        before, self._is_held = self._is_held, True
        self._num_held += 1
        try:
            yield
        finally:
            self._num_held -= 1
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
                raise Stopped(self._number) from error
            raise
        finally:
            self._is_held = before

    def _receive(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if number == signal.SIGINT and not self._num_held and not self.is_requested:
            raise KeyboardInterrupt
        if self.is_requested:
            if now - self._came < SAME_SECONDS:
                return
            # No clean-up may keep the process: Ray's own processes end with their driver.
            os._exit(128 + number)
        self.is_requested, self._number, self._came = True, number, now
        if not self._is_held:
            raise Stopped(number)
        # Not print: the signal may have come in the middle of one.
        name = b"Ctrl-C" if number == signal.SIGINT else b"SIGTERM"
        os.write(
            2,
            b"vr1: " + name + b": the run saves and ends after this step; again ends it at once\n",
        )
