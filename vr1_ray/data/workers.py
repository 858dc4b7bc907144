"""Processes that work beside this one: a bounded number of Python processes, each given one call at a time.

They are started by the interpreter's own command line, so they inherit no thread, no lock and no device of this
process, and the user's script needs no `if __name__ == "__main__"`. They end when their input does, so none outlives
this process.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Self

MAX_WORKERS = 16
CLOSE_SECONDS = 5.0


class WorkerLostError(RuntimeError):
    """A worker ended in the middle of a call; the message says how."""


def num_workers() -> int:
    """As many as this process may use cores, up to `MAX_WORKERS`."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


class Workers:
    """Runs calls of importable functions in other processes.

    Example:
        with Workers(2) as workers:
            workers.submit(math.factorial, 20).result()
    """

    def __init__(self, number: int) -> None:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)
        }
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            for _ in range(number)
        ]
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(
            number, thread_name_prefix="worker"
        )  # one waits for each

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Begin a call. Its result raises what the function raised, WorkerLostError if its process ended."""
        return self._threads.submit(self._call, function, arguments)

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump((function, arguments), process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            has_worked, answer = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            code = process.wait(CLOSE_SECONDS)
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise WorkerLostError(f"a worker process ended with {how}") from error
        finally:
            self._free.put(process)
        if not has_worked:
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Calls that have not begun are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if any(error):
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True)
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.close()
            except BrokenPipeError:
                process.kill()  # it is gone already
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(CLOSE_SECONDS)
            process.stdout.close()


def serve() -> None:
    """The worker's side: calls from stdin, answers to what was stdout; whatever prints goes to stderr."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the driver's affair; this ends with its input
    calls = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, arguments = pickle.load(calls)
        except EOFError:
            return
        try:
            answer = True, function(*arguments)
        except Exception as error:  # told where the result is asked for
            answer = False, error
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
