"""Implements the monitor's web server: static files, and a WebSocket over which it only sends data."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from robotini_ray.errors import RobotiniError
from robotini_ray.monitor.access import SOCKET_PATH, Access, add_headers
from robotini_ray.monitor.hub import Hub, Tab

STATIC = Path(__file__).parent / "static"
MOST_TABS = 32
HEARTBEAT_S = 20.0
SEND_TIMEOUT_S = 30.0
FOLLOWER: web.AppKey[asyncio.Task[None]] = web.AppKey("FOLLOWER")

NEXT = "next"
"""The text that a tab sends when it has shown the last message; any other message ends its connection."""

CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


class MonitorError(RobotiniError):
    """Raised if the monitor cannot serve; the message is one line for a person."""


def make_app(hub: Hub, access: Access) -> web.Application:
    """Returns the web application, which follows the run as long as it runs."""
    app = web.Application(middlewares=[access.middleware])
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(_following(hub))
    for path in sorted(STATIC.rglob("*.*")):
        name = path.relative_to(STATIC).as_posix()
        app.router.add_get("/" if name == "index.html" else f"/static/{name}", _file(path))
    sockets = _Sockets(hub)
    app.router.add_get(SOCKET_PATH, sockets.serve)
    app.on_shutdown.append(sockets.close)
    return app


async def serve(hub: Hub, access: Access, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
        hub: The hub of the run to show.
        access: The access rules.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        say: Called with the page's URL once it can be opened.

    Raises:
        MonitorError: The port is in use, or the host is not an address of this machine.
        Exception: The error with which the hub failed, without which there is nothing to serve.
    """
    runner = web.AppRunner(make_app(hub, access), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            cure = "is taken; give another" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error})"
            raise MonitorError(f"port {port} of {host} {cure}") from error
        say(access.address(runner.addresses[0][1]))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await _first([asyncio.create_task(stop.wait()), runner.app[FOLLOWER]])
    finally:
        await runner.cleanup()


def _following(hub: Hub) -> Callable[[web.Application], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def follow(app: web.Application):  # type: ignore[no-untyped-def]
        app[FOLLOWER] = asyncio.create_task(hub.follow())
        yield
        app[FOLLOWER].cancel()
        await asyncio.wait([app[FOLLOWER]])

    return follow


async def _first(tasks: list[asyncio.Task[Any]]) -> None:
    """Waits until the first of the tasks ends and cancels the others; raises its exception if it failed."""
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _file(path: Path) -> Handler:
    content, kind = path.read_bytes(), CONTENT_TYPES[path.suffix]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return answer


class _Sockets:
    """Serves the WebSockets of all open tabs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._open: set[web.WebSocketResponse] = set()

    async def close(self, app: web.Application) -> None:
        """Closes the connection of every tab; a handler for ``Application.on_shutdown``."""
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._open))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self._hub.tabs >= MOST_TABS:
            return web.Response(status=503, text=f"{MOST_TABS} tabs are open already; close one\n")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=64, compress=False)
        await socket.prepare(request)
        tab = self._hub.join()
        self._open.add(socket)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or message.data != NEXT:
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"this socket only tells")
                    break
                await self._send(socket, tab)
        finally:
            self._open.discard(socket)
            self._hub.leave(tab)
        return socket

    async def _send(self, socket: web.WebSocketResponse, tab: Tab) -> None:
        """Sends the new messages; closes the connection of a tab that does not take one within ``SEND_TIMEOUT_S``."""
        for message in await self._hub.news(tab):
            send = socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message)
            try:
                await asyncio.wait_for(send, SEND_TIMEOUT_S)
            except (ConnectionError, TimeoutError, asyncio.TimeoutError):
                await socket.close()
                return
