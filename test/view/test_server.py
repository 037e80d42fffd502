# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The web server: who gets in, and that a slow page gets the newest frame instead of a queue."""

from __future__ import annotations

import asyncio
import contextlib
import json

import numpy as np
import pytest

aiohttp = pytest.importorskip("aiohttp", reason="no aiohttp in this environment")

from dfd_perception.errors import UsageError  # noqa: E402
from dfd_perception.view.frame_slot import FrameSlot, Status, ViewFrame  # noqa: E402
from dfd_perception.view.server import ServerOptions, ViewServer  # noqa: E402


class Commands:
    """A feed of which only the buttons matter."""

    title, controls = "a scene", ("pause",)

    def __init__(self):
        self.pressed = []

    def command(self, name):
        self.pressed.append(name)


def frame(level):
    return ViewFrame(
        stamp_ns=level,
        images={"input": np.full((30, 40, 3), level % 256, np.uint8)},
        maps={"depth": np.full((30, 40), 1 + level, np.float32)},
    )


def run(test, host="127.0.0.1"):
    """Run an async test against a served page."""

    async def served():
        slot, feed = FrameSlot(), Commands()
        server = ViewServer(feed, slot, ServerOptions(host=host, port=0))
        await server.start()
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                await asyncio.wait_for(test(session, server, slot, feed), 30)
        finally:
            await server.stop()

    asyncio.run(served())


async def next_of(socket, kind):
    while True:
        message = await socket.receive(timeout=10)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        if message.type == aiohttp.WSMsgType.BINARY and kind == "frame":
            return json.loads(message.data[4 : 4 + int.from_bytes(message.data[:4], "little")])
        if message.type == aiohttp.WSMsgType.TEXT and kind in (said := json.loads(message.data)):
            return said[kind]


READY = json.dumps({"ready": {"parts": ["depth", "input"], "side_px": 640}})


def test_the_page_and_its_files_are_served_and_nothing_else():
    async def test(session, server, slot, feed):
        for name, kind in (("", "text/html"), ("main.js", "text/javascript"), ("style.css", "text/css")):
            async with session.get(server.url + name) as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        for name in ("server.py", "..%2Fserver.py", "%2e%2e/server.py", "page", "none.js"):
            async with session.get(aiohttp.client.URL(server.url + name, encoded=True)) as answer:
                assert answer.status == 404
        assert server.token is None

    run(test)


def test_no_file_of_the_page_asks_for_anything_from_elsewhere():
    from dfd_perception.view.server import PAGE

    for path in PAGE.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_a_page_gets_the_newest_frame_when_it_asks():
    async def test(session, server, slot, feed):
        async with session.ws_connect(server.url + "socket") as socket:
            hello = await next_of(socket, "hello")
            assert hello["title"] == "a scene"
            assert len(hello["palettes"]["depth"]) == 256 * 3 * 4 // 3
            await socket.send_str(READY)
            for level in range(5):
                slot.show(frame(level))
            first = await next_of(socket, "frame")
            for level in range(5, 50):
                slot.show(frame(level))
                await asyncio.sleep(0)
            with pytest.raises(asyncio.TimeoutError):  # not asked for: nothing comes
                await asyncio.wait_for(next_of(socket, "frame"), 0.3)
            await socket.send_str(READY)
            second = await next_of(socket, "frame")
            assert (first["stamp_ns"], second["stamp_ns"]) == ("4", "49")
            assert [part["name"] for part in second["parts"]] == ["input", "depth"]

    run(test)


def test_a_late_page_gets_the_plots_so_far_and_buttons_reach_the_feed():
    async def test(session, server, slot, feed):
        slot.report(Status(message="running", series={"rate in": 3.0}, time_s=10.0))
        async with session.ws_connect(server.url + "socket") as socket:
            assert (await next_of(socket, "hello"))["history"] == [{"t": 10.0, "rate in": 3.0}]
            assert (await next_of(socket, "status"))["message"] == "running"
            for text in ("[1]", "nonsense", '{"ready": 5}', '{"command": "explode"}', '{"command": "pause"}', READY):
                await socket.send_str(text)
            slot.show(frame(7))
            assert (await next_of(socket, "frame"))["stamp_ns"] == "7"
            assert feed.pressed == ["pause"]
            assert slot.wanted() == {"depth", "input"}
        while slot.viewer_count:
            await asyncio.sleep(0.01)
        assert slot.wanted() == frozenset()

    run(test)


def test_other_sites_stay_out():
    async def test(session, server, slot, feed):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with session.get(server.url, headers=headers) as answer:
                assert answer.status == 403
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                async with session.ws_connect(server.url + "socket", headers=headers):
                    raise AssertionError(f"a web socket with {headers} was taken")

    run(test)


def test_from_elsewhere_one_needs_the_token():
    async def test(session, server, slot, feed):
        address, token = server.url.split("?token=")
        local = f"http://127.0.0.1:{address.rsplit(':', 1)[1]}"
        assert token == server.token
        assert len(token) >= 16
        for wrong in ("", "?token=", "?token=wrong", "?token=%C3%A9"):
            async with session.get(local + wrong) as answer:
                assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(local + "socket")
        async with session.get(f"{local}?token={token}") as answer:
            assert answer.status == 200
            assert "token" not in str(answer.url)  # it went into a cookie
        async with session.ws_connect(local + "socket") as socket:
            assert await next_of(socket, "hello")

    run(test, host="0.0.0.0")


def test_an_address_that_cannot_be_had_is_one_line():
    async def test(session, server, slot, feed):
        port = int(server.url.rsplit(":", 1)[1].strip("/"))
        with pytest.raises(UsageError, match=f"port {port} is in use"):
            await ViewServer(feed, slot, ServerOptions(port=port)).start()
        with pytest.raises(UsageError, match="--host takes an address of this machine"):
            await ViewServer(feed, slot, ServerOptions(host="192.0.2.1", port=0)).start()

    run(test)
