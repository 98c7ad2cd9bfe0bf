"""Debian's Chromium without a window, driven over a pair of pipes by its own protocol, which takes no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["CHROMIUM", "Browser"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
PATIENCE = 60.0  # seconds
APART = 20  # descriptors from which on none is one of the browser's own
CODES = {"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13}
TEXTS = {"Enter": "\r"}


class Browser:
    """One page of a browser, which has no network unless it is given one.

    errors: what pages have thrown, logged as an error or failed to load
    """

    def __init__(self, profile: Path, network: bool = False) -> None:
        reads, self._writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, APART) for end in os.pipe())
        self._reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, APART) for end in os.pipe())
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{reads} 4>&{writes}', str(CHROMIUM), *OPTIONS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], pass_fds=(reads, writes), stderr=subprocess.DEVNULL
        )
        os.close(reads)
        os.close(writes)
        self._left, self._count, self._session = b"", 0, ""
        self._loaded = False
        self.errors: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._ask("Network.emulateNetworkConditions", offline=not network, **limits)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._reads)
        os.close(self._writes)

    def shape(self, width: int, height: int = 900, scheme: str = "light") -> None:
        """Make the window so large, and its person prefer light or dark pages."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, page: Path | str) -> None:
        """Load a page from its file or its address, and wait until it is there."""
        self._loaded = False
        self._ask("Page.navigate", url=page.absolute().as_uri() if isinstance(page, Path) else page)
        deadline = time.monotonic() + PATIENCE
        while not self._loaded:
            assert time.monotonic() < deadline, f"{page} did not load"
            self._take(self._next())

    def value(self, expression: str) -> Any:
        """Return what JavaScript says; what it throws is raised."""
        told = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until JavaScript says that it is so."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never: {expression}; {self.value('document.body.innerText')}"
            time.sleep(0.05)

    def press(self, *keys: str, held: int = 0) -> None:
        """Press keys, one after the other, hold each until it has repeated so often, and let it go."""
        for key in keys:
            text = {"text": TEXTS.get(key, key)} if key in TEXTS or len(key) == 1 else {}
            told = {"key": key, "windowsVirtualKeyCode": CODES.get(key) or ord(key.upper())}
            for i in range(1 + held):
                self._ask("Input.dispatchKeyEvent", type="keyDown", autoRepeat=i > 0, **told, **text)
            self._ask("Input.dispatchKeyEvent", type="keyUp", **told)

    def click(self, selector: str, times: int = 1) -> None:
        """Click at the middle of an element, once or more."""
        box = f"(box => [box.x + box.width / 2, box.y + box.height / 2])(document.querySelector('{selector}')"
        x, y = self.value(f"{box}.getBoundingClientRect())")
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Store what the window shows, or the whole page."""
        told = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._count, "method": method, "params": parameters, **session}
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._next()
            if reply.get("id") == self._count:
                assert "error" not in reply, (method, reply["error"])
                return reply["result"]
            self._take(reply)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            read = os.read(self._reads, 1 << 16)
            assert read, "the browser has ended"
            self._left += read
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def _take(self, event: dict[str, Any]) -> None:
        """Note that the page has loaded, and what went wrong on it; what it has called off itself did not."""
        name, told = event.get("method"), event.get("params", {})
        self._loaded |= name == "Page.loadEventFired"
        if name == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        if name == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        if name == "Network.loadingFailed" and not told.get("canceled"):
            self.errors.append(told["errorText"])
