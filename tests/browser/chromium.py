"""Headless Chromium, driven by its DevTools protocol over a websocket: what a test of a page needs, and no more.

A page notes what goes wrong in it: exceptions, errors at the console, violations of its security policy, and requests
that failed. Tests say which of the last were to be expected.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-default-apps",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


def find() -> str | None:
    """Where Chromium is, None if it is not here."""
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


class Chromium:
    """One browser, with a profile of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __aenter__(self) -> Chromium:
        program = find()
        assert program is not None
        # A session of its own, so that its helpers end with it.
        self._process = await asyncio.create_subprocess_exec(
            program, *FLAGS, f"--user-data-dir={self._folder}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        port = self._folder / "DevToolsActivePort"
        async with asyncio.timeout(30):
            while not (port.exists() and port.read_text().count("\n")):
                assert self._process.returncode is None, "Chromium has ended"
                await asyncio.sleep(0.02)
        self._address = f"http://127.0.0.1:{port.read_text().split()[0]}"
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        if self._process.returncode is None:
            os.killpg(self._process.pid, 9)
        await self._process.wait()

    async def open(
        self, url: str, *, width: int = 1100, height: int = 900, dark: bool = False, still: bool = False
    ) -> Page:
        """A new page.

        Args:
            url: what it shows.
            width: of the window, in CSS pixels; below 500 it is a phone's.
            height: the same.
            dark: the reader prefers dark colours.
            still: the reader prefers reduced motion.
        """
        async with self._http.put(f"{self._address}/json/new?about:blank") as answer:
            target = await answer.json(content_type=None)
        page = Page(await self._http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.ask(f"{domain}.enable")
        await page.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        await page.prefer(dark=dark, still=still)
        await page.ask("Page.navigate", url=url)
        return page


class Page:
    """One page.

    Attributes:
        problems: what went wrong in it.
        failed: requests that failed, as what the browser says of them.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self.failed: list[str] = []
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._task = asyncio.create_task(self._hear())

    async def close(self) -> None:
        """Close it; its connections end as well."""
        await self.ask("Page.close")
        await self._socket.close()
        await self._task

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol."""
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self._socket.send_str(json.dumps({"id": self._number, "method": method, "params": parameters}))
        async with asyncio.timeout(20):
            return await answer

    async def prefer(self, *, dark: bool = False, still: bool = False) -> None:
        """What the reader prefers."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        await self.ask("Emulation.setEmulatedMedia", features=features)

    async def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def text(self, element: str) -> str:
        """What is read in the element of this id."""
        return str(await self.js(f"document.getElementById({element!r})?.innerText ?? ''"))

    async def until(self, expression: str, limit: float = 20.0) -> None:
        """Return as soon as this holds in the page."""
        try:
            async with asyncio.timeout(limit):
                while not await self.js(f"(async () => !!(await ({expression})))()"):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            shown = await self.js("document.body?.innerText")
            raise AssertionError(f"not within {limit:g} s: {expression}; the page says:\n{shown}") from None

    async def key(self, key: str, code: int = 0, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            shown = {"text": text} if text and kind == "keyDown" else {}
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **shown)

    async def screenshot(self, name: str) -> None:
        """Keep what the whole page looks like."""
        await asyncio.sleep(0.15)  # a frame has to be drawn
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    async def _hear(self) -> None:
        async for message in self._socket:
            heard = json.loads(message.data)
            if "id" in heard:
                answer = self._answers.pop(heard["id"])
                if not answer.done():
                    answer.set_result(heard.get("result", heard))
            else:
                self._note(heard["method"], heard["params"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.problems.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            entry = said["entry"]
            (self.failed if entry["source"] == "network" else self.problems).append(
                f"{entry['text']} {entry.get('url')}"
            )
