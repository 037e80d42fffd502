# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Who may look: anybody on this machine; from elsewhere, who has the token.

A page of another site that is open in the same browser is kept out as well: by the Host header (a name that was made to
point here) and by the Origin of a web socket.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

COOKIE = "dfd_view"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A word that nobody guesses."""
    return secrets.token_urlsafe(12)


def address_of_this_machine() -> str:
    """The address that other machines would use; found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of RFC 5737: connecting a datagram socket only chooses a route
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def guard(token: str | None) -> Any:
    """Middleware that lets nobody else in; without a token only requests that name this machine."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="this page belongs to another site\n")
        if token is None:
            name = urlsplit(f"//{request.host}").hostname or ""
            if not is_loopback(name):
                raise web.HTTPForbidden(text="open it as http://127.0.0.1, or start dfd view with --host\n")
            return await handler(request)
        presented = request.query.get("token", "")
        if presented and hmac.compare_digest(presented.encode(), token.encode()):
            # The token moves from the address bar, which people share, into a cookie.
            answer = web.HTTPFound(request.path)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            raise answer
        if not hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
            raise web.HTTPForbidden(text="open the address with ?token=..., as dfd view printed it\n")
        return await handler(request)

    return check


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page load from here only, and be kept nowhere."""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws://{request.host}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
