"""A headless Chromium for the tests of pages: opens a file, and says what the page did, logged and looked like."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest

__all__ = ["Browser", "Page", "find_browser"]

# The browser listens on descriptor 3 and answers on 4: no port is opened, and no further package is needed.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_SECONDS = 120.0


def find_browser() -> str:
    """Path of a Chromium; the test is skipped aloud where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("NO BROWSER: pages are not opened in a browser here (apt-get install chromium)")


class Browser:
    """A running Chromium that is spoken to in its own protocol, as a context manager."""

    def __init__(self, folder: Path) -> None:
        arguments = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
            *(f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"),
        ]
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Out of the way of descriptors 3 and 4.
        given = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs_in, theirs_out)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, given), find_browser(), *arguments],
            pass_fds=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in (theirs_in, theirs_out, *given):
            os.close(one)
        self._out, self._in = ours_out, ours_in
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(timeout=20)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends one command and gives back its result; what happens meanwhile is kept in `events`."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        sent = json.dumps(message).encode() + b"\0"
        while sent:
            sent = sent[os.write(self._out, sent) :]
        while True:
            got = self._receive()
            if got.get("id") == self._number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                result: dict[str, Any] = got["result"]
                return result
            self.events.append(got)

    def wait_for(self, method: str) -> dict[str, Any]:
        """The first event of this name that was not waited for yet."""
        while True:
            for place, event in enumerate(self.events):
                if event.get("method") == method:
                    return self.events.pop(place)
            self.events.append(self._receive())

    def open(
        self,
        path: Path,
        *,
        width: int,
        height: int = 844,
        scheme: Literal["light", "dark"] = "light",
        scale: float = 1.0,
    ) -> Page:
        """Opens a file in a new tab as wide as a screen; below 600 pixels it is a phone."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", session, **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", session, media="screen", features=features)
        self.call("Page.navigate", session, url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        return Page(self, session, target, path)

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"The browser said nothing for {_SECONDS:.0f} seconds.")
            got = os.read(self._in, 1 << 20)
            if not got:
                raise OSError("The browser has gone.")
            self._rest += got
        message, self._rest = self._rest.split(b"\0", 1)
        result: dict[str, Any] = json.loads(message)
        return result


class Page:
    """An open tab."""

    def __init__(self, browser: Browser, session: str, target: str, path: Path) -> None:
        self._browser, self._session, self._target, self._path = browser, session, target, path

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression. The tests' own code runs whatever the page's policy says."""
        got = self._browser.call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Presses and releases a key, such as `press("ArrowRight", 39)`."""
        named: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
        typed = {"text": key} if len(key) == 1 else {}
        self._browser.call("Input.dispatchKeyEvent", self._session, type="keyDown", **named, **typed)
        self._browser.call("Input.dispatchKeyEvent", self._session, type="keyUp", **named)

    def requests(self) -> list[str]:
        """Addresses that were asked for, beside the page itself and what it carries as data."""
        sent = [one["params"]["request"]["url"] for one in self._events("Network.requestWillBeSent")]
        return [url for url in sent if not url.startswith("data:") and url != self._path.resolve().as_uri()]

    def complaints(self) -> list[str]:
        """What went to the console: errors, warnings, refusals of the page's policy, and any other line."""
        logged = [one["params"]["entry"]["text"] for one in self._events("Log.entryAdded")]
        said = [str(one["params"]["args"]) for one in self._events("Runtime.consoleAPICalled")]
        thrown = [str(one["params"]["exceptionDetails"]) for one in self._events("Runtime.exceptionThrown")]
        return logged + said + thrown

    def heard(self, *, part: Literal["name", "description"] = "name") -> str:
        """What a screen reader is told, words that the style sheet makes included, in one line."""
        nodes = self._browser.call("Accessibility.getFullAXTree", self._session)["nodes"]
        leaves = [
            one for one in nodes if not one.get("ignored") and one.get("role", {}).get("value") != "InlineTextBox"
        ]
        return " ".join(" ".join(str(one.get(part, {}).get("value", "")) for one in leaves).split())

    def picture(self, target: Path, *, whole: bool = True) -> None:
        """A screenshot as PNG, of the whole page or of the part on the screen."""
        got = self._browser.call("Page.captureScreenshot", self._session, captureBeyondViewport=whole, format="png")
        target.write_bytes(base64.b64decode(got["data"]))

    def close(self) -> None:
        """Closes the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _events(self, method: str) -> list[dict[str, Any]]:
        self.run("0")  # everything that happened before has been told once this is answered
        own = [one for one in self._browser.events if one.get("sessionId") == self._session]
        return [one for one in own if one.get("method") == method]
