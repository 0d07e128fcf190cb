"""A whole training under its command line, to be hurt: every part real, networks tiny."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.small_training import small_training
from tests.waiting import LONG_S, eventually

BACK_S = 600.0
OFTEN = {
    "replay": {"capacity": 4000},
    "learner": {"checkpoint_interval_s": 5},
    "evaluation": {"interval_s": 5},
}
"""So that there is something to lose."""


class RunningProgram:
    """``train`` as a child, and what it says and writes down."""

    def __init__(self, folder: Path, *arguments: object, **changes: dict[str, Any]) -> None:
        changed = {name: {**OFTEN.get(name, {}), **changes.get(name, {})} for name in {*OFTEN, *changes}}
        (folder / "small.yaml").write_text(yaml.safe_dump(small_training(**changed)))
        self.run_dir = folder / "run"
        command = [sys.executable, "-m", "robotini_ray.launch", "train", str(folder / "small.yaml")]
        command += ["--run-dir", str(self.run_dir), "--monitor-port", "0", *map(str, arguments)]
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def is_read(self) -> bool:
        """Whether everything that it and its children have said is in ``lines``."""
        return not self._reader.is_alive()

    def output(self) -> str:
        return "\n".join(self.lines)

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Waits for a condition; fails with the output when the program ends first."""

        def alive_and_holds() -> bool:
            assert self.process.poll() is None, self.output()
            return holds()

        try:
            eventually(alive_and_holds, what, BACK_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def wait_until_it_trains(self) -> None:
        self.wait(lambda: self.summary().get("train_steps", 0) > 0 and self.all_run(), "it trains")

    def summary(self) -> dict[str, Any]:
        return self._json("summary.json")

    def processes(self) -> dict[str, Any]:
        return self._json("program.json")

    def part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.processes().get("parts", {}).get(name, {})
        return found

    def pid(self, name: str) -> int:
        pid: int = self.part(name)["process"]["pid"]
        return pid

    def pids(self) -> dict[str, int]:
        """The process of every part that has one."""
        return {name: part["process"]["pid"] for name, part in self.processes().get("parts", {}).items()}

    def all_run(self) -> bool:
        parts = self.processes().get("parts", {})
        return bool(parts) and all(part["state"] == "running" for part in parts.values())

    def restarts(self, name: str) -> int:
        count: int = self.summary().get("restarts", {}).get(name, 0)
        return count

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Sends a signal to a part's process; returns the process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def wait_until_back(self, name: str, pid: int) -> None:
        """Until another process does the part's work, and environment and train steps grow again."""
        self.wait(lambda: self.all_run() and self.pid(name) != pid, f"{name} is back")
        self.wait_until_it_moves()

    def wait_until_it_moves(self) -> None:
        before = self.summary()
        self.wait(lambda: self.summary()["env_steps"] > before["env_steps"], "environment steps grow")
        reached = self.summary()["train_steps"]
        self.wait(lambda: self.all_run() and self.summary()["train_steps"] > reached, "train steps grow")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=LONG_S)
            except subprocess.TimeoutExpired:
                for process in self.family():
                    process.kill()
                self.process.kill()
                self.process.wait()

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.run_dir / name).read_text())
        except FileNotFoundError:
            return {}
        return found
