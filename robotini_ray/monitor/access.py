"""Who may open the monitor: this machine, or whoever has the token; and no page of another site in a browser of theirs."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from robotini_ray.machine.addresses import is_loopback

LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
COOKIE = "robotini-monitor"
READING = ("GET", "HEAD")
SOCKET_PATH = "/socket"

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Access:
    """The rules of one listener.

    Args:
        host: that it listens on. Anything but a loopback address makes a token, without which nothing is answered.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.token = None if is_loopback(host) else secrets.token_urlsafe(24)

    def address(self, port: int) -> str:
        """What a person opens, with the token where one is needed."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if is_any_address(self._host):
            host = socket.gethostname()
        return f"http://{host}:{port}/" + (f"?token={self.token}" if self.token else "")

    @property
    def middleware(self) -> Middleware:
        """Refuses what is not allowed before any handler sees it."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = self._fault(request)
            if fault is not None:
                return web.Response(status=fault[0], text=f"{fault[1]}\n")
            if self.token is not None and "token" in request.query:
                return self._welcome()
            return await handler(request)

        return check

    def _fault(self, request: web.Request) -> tuple[int, str] | None:
        """Status and reason of a refusal, or None."""
        if request.method not in READING:
            return 405, "this page can only be read"
        if not self._knows(_host_name(request.host)):
            return 403, "the monitor does not go by that host name"
        origin = request.headers.get("Origin")
        if origin is None and request.path == SOCKET_PATH:
            return 403, "the socket is for the monitor's own page"
        if origin is not None and origin != f"http://{request.host}":
            return 403, "the monitor is not for other sites' pages"
        if self.token is not None and not self._has_token(request):
            return 403, "open the address that the monitor printed: it holds a token"
        return None

    def _knows(self, name: str) -> bool:
        """Whether the name can be ours. A name that a stranger made to point here (DNS rebinding) is not."""
        if name in LOOPBACK_NAMES or self.token is None:
            return name in LOOPBACK_NAMES
        return name in (self._host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()) or _is_ip(name)

    def _has_token(self, request: web.Request) -> bool:
        assert self.token is not None
        given = request.query.get("token", request.cookies.get(COOKIE, ""))
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _welcome(self) -> web.Response:
        """Moves the token from the address, which histories and screenshots keep, into a cookie that scripts cannot read."""
        assert self.token is not None
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
        return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Puts the rules for the browser on every answer; for ``Application.on_response_prepare``."""
    response.headers.update(HEADERS)


def is_any_address(host: str) -> bool:
    """Whether a listener there is reached by every address of the machine."""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; an SSH tunnel changes the port, so that is not compared."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
