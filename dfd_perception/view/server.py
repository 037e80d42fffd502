# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The web server of `dfd view`: the page, and one web socket for each page that is open.

A page asks for a frame when it has drawn the one before, and gets the newest: nothing queues up, however slow it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from dfd_perception.errors import UsageError, reason_of
from dfd_perception.view.access import add_headers, address_of_this_machine, guard, is_loopback, new_token
from dfd_perception.view.feed import Feed
from dfd_perception.view.frame_slot import FrameSlot
from dfd_perception.view.wire_format import frame_message, hello_message, status_message

PAGE = Path(__file__).parent / "page"
PARTS = frozenset({"input", "deblurred", "depth", "std", "measured", "blur"})
SIDES_PX = (160, 1280)
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where to serve."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 = any that is free."""


class ViewServer:
    """Serves one feed."""

    def __init__(self, feed: Feed, slot: FrameSlot, options: ServerOptions | None = None) -> None:
        self.options = options or ServerOptions()
        self.token = None if is_loopback(self.options.host) else new_token()
        self.url = ""
        """Address to open; known once it is served."""
        self._feed, self._slot = feed, slot
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            UsageError: the address cannot be had.
        """
        app = web.Application(middlewares=[guard(self.token)])
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/", self._file)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, port = self.options.host, self.options.port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(_refused(error, host, port)) from error
        port = self._runner.addresses[0][1]
        shown = address_of_this_machine() if host in ("0.0.0.0", "::") else host
        shown = f"[{shown}]" if ":" in shown else shown
        self.url = f"http://{shown}:{port}/" + (f"?token={self.token}" if self.token else "")

    async def stop(self) -> None:
        """End every connection and stop serving."""
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _file(self, request: web.Request) -> web.Response:
        path = PAGE / (request.match_info.get("name") or "index.html")
        if path.suffix not in CONTENT_TYPES or not path.is_file():
            raise web.HTTPNotFound(text="no such page\n")
        return web.Response(body=path.read_bytes(), content_type=CONTENT_TYPES[path.suffix], charset="utf-8")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        # Compression would cost a robot more time than it saves bytes.
        socket = web.WebSocketResponse(heartbeat=20.0, compress=False, max_msg_size=4096)
        await socket.prepare(request)
        self._sockets.add(socket)
        viewer = _Viewer(socket, self._feed, self._slot)
        self._slot.add_viewer(viewer.wake)
        sender = asyncio.create_task(viewer.send())
        try:
            await viewer.receive()
        finally:
            self._sockets.discard(socket)
            self._slot.remove_viewer(viewer.wake)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sender
        return socket


class _Viewer:
    """One page that is open."""

    def __init__(self, socket: web.WebSocketResponse, feed: Feed, slot: FrameSlot) -> None:
        self.wake = asyncio.Event()
        self._socket, self._feed, self._slot = socket, feed, slot
        self._ready = False
        self._wanted: frozenset[str] = frozenset()
        self._side_px = 640

    async def receive(self) -> None:
        """Take what the page says, until it goes."""
        async for message in self._socket:
            if message.type != WSMsgType.TEXT:
                continue
            # What is not from our page is not worth a word.
            with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                self._take(json.loads(message.data))

    async def send(self) -> None:
        """Send what is new: every status, and a frame when the page is ready for one."""
        hello = hello_message(self._feed.title, self._feed.controls, self._slot)
        await self._socket.send_str(hello)
        frame_sent = status_sent = -1
        shown: tuple[frozenset[str], int] | None = None
        while not self._socket.closed:
            if self._slot.status_number != status_sent:
                status_sent = self._slot.status_number
                await self._socket.send_str(status_message(self._slot.status))
            frame, wanted = self._slot.frame, (self._wanted, self._side_px)
            if self._ready and frame is not None and (frame.number != frame_sent or wanted != shown):
                self._ready, frame_sent, shown = False, frame.number, wanted
                content = await asyncio.to_thread(frame_message, frame, *wanted)
                await self._socket.send_bytes(content)
                continue
            await self.wake.wait()
            self.wake.clear()

    def _take(self, request_json: Any) -> None:
        if "command" in request_json and request_json["command"] in ("pause", "play", "next", "previous"):
            self._feed.command(request_json["command"])
        if "ready" in request_json:
            self._wanted = frozenset(request_json["ready"]["parts"]) & PARTS
            self._side_px = min(max(int(request_json["ready"]["side_px"]), SIDES_PX[0]), SIDES_PX[1])
            self._ready = True
            self._slot.set_wanted(self.wake, self._wanted)
        self.wake.set()


def serve(feed: Feed, options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    """Serve a feed until a signal ends it, or the feed fails.

    Args:
        on_ready: told the address to open.

    Raises:
        UsageError: the address cannot be had.
        DfdPerceptionError: what ended the feed.
    """
    asyncio.run(_serve(feed, options, on_ready))


async def _serve(feed: Feed, options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    slot, stop = FrameSlot(), threading.Event()
    server = ViewServer(feed, slot, options)
    await server.start()
    on_ready(server.url)
    problems: list[BaseException] = []

    def run() -> None:
        try:
            feed.run(slot, stop)
        except BaseException as error:
            problems.append(error)
            loop.call_soon_threadsafe(ended.set)

    thread = threading.Thread(target=run, name="dfd-view-feed", daemon=True)
    thread.start()
    await ended.wait()
    stop.set()
    await server.stop()
    await asyncio.to_thread(thread.join, 10.0)
    if problems:
        raise problems[0]


def _refused(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use (another dfd view?); choose another with --port, 0 takes any that is free"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user lacks; choose one above 1023 with --port"
    return f"{host}:{port} cannot be served ({reason_of(error)}); --host takes an address of this machine"
