"""Servers that a run starts itself, from `bridge.mllm.command` and `bridge.reasoner.command`.

    command: [vllm, serve, Qwen/Qwen2.5-VL-7B-Instruct, --port, "{port}"]

`{port}` becomes a free port, `{python}` this interpreter. The run waits until `/v1/models` answers, asks there,
and stops the server when it ends; should the run be killed, the kernel ends the server with it. What a server
prints goes to logs/ in the run folder. It runs on the machine of the run: start servers of a cluster
yourself, and list them in `base_urls`.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from vr1_ray.config import BridgeConfig, ConfigError, EndpointConfig
from vr1_ray.tracking.privacy import as_folder, private_folder

_STOP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ServerError(RuntimeError):
    """A server that the run started did not come up."""


class Servers:
    """The servers of one run; a context that stops them at its end.

    Example:
        with Servers(Path("runs/demo/logs"), {"data": "data"}) as servers:
            config = servers.start(config)  # its base_urls filled in
    """

    def __init__(self, logs: Path, values: Mapping[str, str] | None = None) -> None:
        self.logs, self.values = logs, dict(values or {})
        self._stack = ExitStack()

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def start(self, config: BridgeConfig) -> BridgeConfig:
        """Start what has a command, and wait for it. Raises ServerError with the end of its log."""
        started = {
            name: self._launch(name, endpoint)
            for name in ("mllm", "reasoner")
            if (endpoint := getattr(config, name)).command
        }
        for name, (process, url) in started.items():
            self._wait(name, process, url, getattr(config, name).start_timeout_seconds)
        return replace(
            config,
            **{
                name: replace(getattr(config, name), base_urls=[url])
                for name, (_, url) in started.items()
            },
        )

    def _launch(self, name: str, endpoint: EndpointConfig) -> tuple[subprocess.Popen[bytes], str]:
        if endpoint.base_urls:
            raise ConfigError(f"bridge.{name}: has base_urls and a command; give one of them")
        port = str(_free_port())
        values = {"port": port, "python": sys.executable, **self.values}
        try:
            words = [word.format(**values) for word in endpoint.command]
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(f"{{{key}}}" for key in values)
            raise ConfigError(f"bridge.{name}.command: {error}; it may use {known}") from error
        path = private_folder(self.logs) / f"{name}_server.log"
        log: IO[bytes] = self._stack.enter_context(
            open(path, "wb", opener=as_folder)  # noqa: SIM115
        )
        try:
            # A session of its own: Ctrl-C is the run's to answer, and its children can be ended with it.
            process = subprocess.Popen(
                words, stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent
            )
        except OSError as error:
            raise ConfigError(
                f"bridge.{name}.command: {words[0]!r} can't be run: {error}"
            ) from error
        self._stack.callback(_stop, process)
        return process, f"http://127.0.0.1:{port}/v1"

    def _wait(
        self, name: str, process: subprocess.Popen[bytes], url: str, timeout_seconds: float
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{url}/models", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        log = self.logs / f"{name}_server.log"
        end = log.read_text(encoding="utf-8", errors="replace")[-600:]
        how = (
            f"did not answer within {timeout_seconds:g} s (start_timeout_seconds)"
            if process.poll() is None
            else f"ended with code {process.returncode}"
        )
        raise ServerError(f"bridge.{name}.command: the server {how}; the end of {log}:\n{end}")


def _end_with_parent() -> None:
    """In the child: end when the process that started it does, whatever ends that."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
