"""A training under random faults for a minute, judged in half a minute of quiet: ``make chaos``."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.faults.running_program import RunningProgram

FAULTS = 6
INTERVAL_S = 10.0
QUIET_S = 30.0

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


def test_a_minute_of_faults_then_half_a_minute_of_quiet(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", time.time_ns() % 2**32))
    print(f"\nCHAOS_SEED={seed}")
    chance = random.Random(seed)
    program = RunningProgram(tmp_path)
    try:
        program.wait_until_it_trains()
        program.wait_until_it_moves()
        processes, files = census(program)
        for _ in range(FAULTS):
            hurt = chance.choice(list(WAYS))
            print(f"fault: {hurt}")
            WAYS[hurt](program)
            time.sleep(INTERVAL_S)
            assert program.process.poll() is None, program.output()
        program.wait(program.all_run, "all parts run again")
        program.wait_until_it_moves()

        before = program.summary()
        time.sleep(QUIET_S)
        after = program.summary()
        print(f"before and after {QUIET_S:g} s of quiet: {before} {after}")
        assert after["env_steps"] > before["env_steps"]
        assert after["train_steps"] > before["train_steps"]
        assert after["restarts"] == before["restarts"], "nothing falls over in quiet"
        now, files_now = census(program)
        print(f"processes {processes} -> {now}, file descriptors {files} -> {files_now}")
        assert now <= processes + 1, program.family()
        assert files_now <= files * 1.1 + 20
    finally:
        program.end()
        print(program.output())


def census(program: RunningProgram) -> tuple[int, int]:
    """Processes of the program, Ray's idle workers apart, and the file descriptors of them all."""
    processes, files = 0, 0
    for process in program.family():
        try:
            name = " ".join(process.cmdline())
            count = process.num_fds()
        except psutil.Error:
            continue
        if not name.startswith("ray::IDLE"):
            processes, files = processes + 1, files + count
    return processes, files


def kill(name: str) -> Callable[[RunningProgram], None]:
    def hurt(program: RunningProgram) -> None:
        if name == "redis" or program.part(name).get("pid"):  # else it is down already
            program.kill(name)

    return hurt


def stop_for_a_while(name: str) -> Callable[[RunningProgram], None]:
    def hurt(program: RunningProgram) -> None:
        if name == "redis" or program.part(name).get("pid"):
            pid = program.kill(name, signal.SIGSTOP)
            time.sleep(3.0)
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGCONT)

    return hurt


WAYS: dict[str, Callable[[RunningProgram], None]] = {
    **{f"kill {name}": kill(name) for name in ("collector-0", "collector-1", "evaluator", "learner", "replay", "redis")},
    **{f"stop {name} for 3 s": stop_for_a_while(name) for name in ("collector-0", "learner", "replay", "redis")},
}
