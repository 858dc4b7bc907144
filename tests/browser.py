"""A headless Chromium for tests, driven over its own protocol: opens a page, runs scripts, sends keys, takes pictures.

Example:
    with Browser(tmp_path) as browser:
        browser.open(page.as_uri())
        browser.wait("document.documentElement.dataset.ready")
        browser.run("document.title")
"""

import base64
import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
MISSING = "no Chromium on this machine (chromium, chromium-browser or google-chrome)"


class Browser:
    """One tab. `errors` has what the console and the page's scripts complained of."""

    def __init__(
        self, folder: Path, *, width: int = 1440, height: int = 1000, dark: bool = False
    ) -> None:
        self.profile = Path(folder) / "browser"
        self.errors: list[str] = []
        self.requests: list[str] = []  # addresses that the page asked for
        self._size, self._dark, self._count = (width, height), dark, 0

    def __enter__(self) -> "Browser":
        self._open = ExitStack()
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
        ]
        self._process = subprocess.Popen(
            [PROGRAM, *flags, f"--user-data-dir={self.profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)

    def _connect(self) -> None:
        port_file = self.profile / "DevToolsActivePort"
        until = time.monotonic() + 60
        while not (port_file.is_file() and port_file.read_text().count("\n")):
            if time.monotonic() > until:
                raise TimeoutError(f"{PROGRAM} did not start within 60 s")
            time.sleep(0.1)
        port, path = port_file.read_text().split("\n")[:2]
        address = f"ws://127.0.0.1:{port}{path}"
        self._socket = self._open.enter_context(
            connect(address, max_size=None, open_timeout=30, compression=None)
        )
        self._session: str | None = None
        [target] = [
            one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        found = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.resize(*self._size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self._dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def resize(self, width: int, height: int) -> None:
        """The size of the window, in CSS pixels; a phone's below 600."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def ask(self, method: str, timeout: float = 60.0, **params: Any) -> dict[str, Any]:
        """One command of the protocol. Raises RuntimeError for one that is refused, TimeoutError."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        until = time.monotonic() + timeout
        while True:
            answer = json.loads(self._socket.recv(timeout=max(until - time.monotonic(), 0.01)))
            self._note(answer)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(
                str([one.get("value", one.get("description")) for one in params["args"]])
            )
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, address: str) -> None:
        """Go to a page and wait until it is loaded; `wait` for what its scripts do then."""
        self.ask("Page.navigate", url=address)
        self.wait(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def run(self, script: str, timeout: float = 60.0) -> Any:
        """The value of an expression in the page; a promise is waited for. Raises RuntimeError if it throws."""
        found = self.ask(
            "Runtime.evaluate",
            timeout,
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, script: str, timeout: float = 60.0) -> Any:
        """The first true value of an expression. Raises TimeoutError with what the page complained of."""
        until = time.monotonic() + timeout
        plain = f"(value => value instanceof Node ? true : value)({script})"
        while not (value := self.run(plain)):
            if time.monotonic() > until:
                raise TimeoutError(f"{script} stayed {value!r} for {timeout} s; {self.errors}")
            time.sleep(0.05)
        return value

    def key(self, name: str) -> None:
        """Press a key, such as ArrowDown or Enter, where the focus is."""
        codes = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=codes[name],
            )

    def picture(self, path: Path, *, is_whole: bool = True) -> Path:
        """A PNG of the page, all of it or the window."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(found["data"]))
        return path
