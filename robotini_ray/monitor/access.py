"""Decides which requests the monitor answers.

It answers this machine or, on other addresses, clients that have the token. It never answers requests that a page of another
site makes in a client's browser.
"""

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
    """The access rules of one listener.

    Args:
        host: The address that it listens on. For anything but a loopback address a token is made; requests without it are
            refused.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.token = None if is_loopback(host) else secrets.token_urlsafe(24)

    def address(self, port: int) -> str:
        """Returns the URL to open in a browser, with the token if one is needed."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if is_any_address(self._host):
            host = socket.gethostname()
        return f"http://{host}:{port}/" + (f"?token={self.token}" if self.token else "")

    @property
    def middleware(self) -> Middleware:
        """A middleware that refuses requests that are not allowed before they reach a handler."""

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
        """Returns the HTTP status and the reason of a refusal, or None if the request is allowed."""
        if request.method not in READING:
            return 405, "the monitor is read-only: use GET or HEAD"
        if not self._knows(_host_name(request.host)):
            return 403, "the monitor does not answer under that host name"
        origin = request.headers.get("Origin")
        if origin is None and request.path == SOCKET_PATH:
            return 403, "the socket serves only the monitor's own page"
        if origin is not None and origin != f"http://{request.host}":
            return 403, "the monitor does not serve pages of other sites"
        if self.token is not None and not self._has_token(request):
            return 403, "open the address that the monitor printed: it contains the token"
        return None

    def _knows(self, name: str) -> bool:
        """Returns whether a host name can be this machine's.

        A foreign name that resolves to this machine is refused: this prevents DNS rebinding.
        """
        if name in LOOPBACK_NAMES or self.token is None:
            return name in LOOPBACK_NAMES
        return name in (self._host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()) or _is_ip(name)

    def _has_token(self, request: web.Request) -> bool:
        assert self.token is not None
        given = request.query.get("token", request.cookies.get(COOKIE, ""))
        # Bytes that are not UTF-8 arrive as lone surrogates.
        return hmac.compare_digest(given.encode(errors="surrogatepass"), self.token.encode())

    def _welcome(self) -> web.Response:
        """Redirects to the page without the token in its URL.

        The token moves from the URL, which browser histories and screenshots keep, into a cookie that scripts cannot read.
        """
        assert self.token is not None
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
        return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the security headers to every response; a handler for ``Application.on_response_prepare``."""
    response.headers.update(HEADERS)


def is_any_address(host: str) -> bool:
    """Returns whether ``host`` stands for all addresses of the machine, such as ``0.0.0.0`` and ``::``."""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def _host_name(host: str) -> str:
    """Returns the name in a Host header, without port and brackets.

    The port is not compared, because an SSH tunnel changes it.
    """
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
