"""Who gets an answer, and with which rules for the browser."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import DummyCookieJar, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from robotini_ray.monitor.access import COOKIE, SOCKET_PATH, Access, is_loopback
from robotini_ray.monitor.hub import Hub
from robotini_ray.monitor.run_files import RunFiles
from robotini_ray.monitor.server import NEXT, make_app
from tests.waiting import LONG_S

POLICY = "default-src 'self'; img-src 'self' blob: data:"


@pytest.fixture
def visit(run_dir):
    """Runs a coroutine with a client of a monitor that was told to listen on a host."""

    def run(talk: Callable[[TestClient, Access], Awaitable[Any]], host: str = "127.0.0.1") -> Any:
        async def session() -> Any:
            access = Access(host)
            server = TestServer(make_app(Hub(RunFiles(run_dir), None), access), host="127.0.0.1")
            async with TestClient(server, cookie_jar=DummyCookieJar()) as client:
                return await talk(client, access)

        return asyncio.run(session())

    return run


def get(path: str = "/", **headers: str) -> Callable[[TestClient, Access], Awaitable[tuple[int, dict, str]]]:
    async def talk(client: TestClient, _: Access) -> tuple[int, dict, str]:
        response = await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return response.status, dict(response.headers), await response.text()

    return talk


def connect(**headers: str) -> Callable[[TestClient, Access], Awaitable[int]]:
    """The status of the answer to the socket's handshake."""

    async def talk(client: TestClient, _: Access) -> int:
        own = f"http://{client.host}:{client.port}"
        given = {name: value.replace("OWN", own) for name, value in headers.items()}
        try:
            async with client.ws_connect(SOCKET_PATH, headers=given):
                return 101
        except WSServerHandshakeError as error:
            return error.status

    return talk


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/static/style.css", "/static/no.js", "/etc/passwd", "/socket"])
def test_every_answer_carries_the_rules(visit, path):
    _, headers, _ = visit(get(path))
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_asks_for_nothing_elsewhere(visit):
    status, headers, page = visit(get())
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "//" not in page.replace("<!doctype", "").replace("https://", "//").replace("</", "")
    assert "style=" not in page and "onclick" not in page


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd", "/static/"])
def test_nothing_but_the_page_s_files_is_served(visit, path):
    assert visit(get(path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/socket", "/static/main.js"])
def test_it_can_only_be_read(visit, method, path):
    async def talk(client: TestClient, _: Access) -> int:
        return (await client.request(method, path)).status

    assert visit(talk) == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("192.168.1.5:8080", 403),
        ("evil.example@localhost:x[", 403),
        ("", 403),
    ],
)
def test_a_name_that_a_stranger_made_to_point_here_is_refused(visit, host, status):
    assert visit(get(Host=host))[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "OWN"}, 101),
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "OWN", "Host": "evil.example"}, 403),
    ],
)
def test_only_the_page_itself_may_open_the_socket(visit, headers, status):
    assert visit(connect(**headers)) == status


def test_a_page_of_another_origin_gets_nothing(visit):
    assert visit(get(Origin="http://evil.example"))[0] == 403


@pytest.mark.parametrize("words", ["stop", '{"action": "forward"}', "x" * 65, b"next"])
def test_who_says_anything_but_next_is_cut_off(visit, words):
    async def talk(client: TestClient, _: Access) -> list[WSMsgType]:
        async with client.ws_connect(SOCKET_PATH, headers={"Origin": f"http://{client.host}:{client.port}"}) as socket:
            await socket.send_str(NEXT)
            kinds = [(await socket.receive(timeout=LONG_S)).type]
            await (socket.send_bytes(words) if isinstance(words, bytes) else socket.send_str(words))
            while kinds[-1] not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
                kinds.append((await socket.receive(timeout=LONG_S)).type)
            return kinds

    kinds = visit(talk)
    assert kinds[0] in (WSMsgType.TEXT, WSMsgType.BINARY)
    assert kinds[-1] == WSMsgType.CLOSE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_no_token(host):
    assert is_loopback(host) and Access(host).token is None
    assert "token" not in Access(host).address(8080)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "fd00::1", "somewhere"])
def test_every_other_address_needs_one(host):
    access = Access(host)
    assert access.token is not None and len(access.token) >= 32
    assert access.token != Access(host).token
    assert access.address(8080).endswith(f":8080/?token={access.token}")


class TestWithAToken:
    def test_nothing_is_answered_without_it(self, visit):
        for path in ("/", "/static/main.js", "/?token=", "/?token=wrong", "/?token=%C3%A9"):
            assert visit(get(path), host="0.0.0.0")[0] == 403, path
        assert visit(connect(Origin="OWN"), host="0.0.0.0") == 403

    def test_it_moves_from_the_address_into_a_cookie_that_no_script_reads(self, visit):
        async def talk(client: TestClient, access: Access) -> None:
            first = await client.get(f"/?token={access.token}", allow_redirects=False)
            assert first.status == 303 and first.headers["Location"] == "/"
            cookie = first.headers["Set-Cookie"]
            assert cookie.startswith(f"{COOKIE}={access.token};") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
            given = {"Cookie": f"{COOKIE}={access.token}"}
            assert (await client.get("/", headers=given)).status == 200
            assert (await client.get("/", headers={"Cookie": f"{COOKIE}=wrong"})).status == 403
            assert (await client.get("/", headers={**given, "Host": "evil.example"})).status == 403
            assert (await client.post("/", headers=given)).status == 405
            own = {"Origin": f"http://{client.host}:{client.port}"}
            async with client.ws_connect(SOCKET_PATH, headers={**given, **own}) as socket:
                await socket.send_str(NEXT)
                assert (await socket.receive(timeout=LONG_S)).type in (WSMsgType.TEXT, WSMsgType.BINARY)

        visit(talk, host="0.0.0.0")


@pytest.mark.parametrize(
    "line", [b"Cookie: %s=\xff", b"Cookie: \xff=\xff", b"Origin: \xff", b"X: \xff", b"Cookie: %s=\xed\xa0\x80"]
)
def test_bytes_that_are_no_text_are_refused_like_a_wrong_token(visit, line, caplog):
    async def talk(client: TestClient, _: Access) -> bytes:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        header = line.replace(b"%s", COOKIE.encode())
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    assert visit(talk, "0.0.0.0").startswith(b"HTTP/1.1 403 ")
    assert "Traceback" not in caplog.text


def test_a_token_that_is_no_text_is_refused(visit):
    assert visit(get("/?token=%ff%ed%a0%80"), "0.0.0.0")[0] == 403
