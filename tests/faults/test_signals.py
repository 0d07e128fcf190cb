"""Ctrl-C and SIGTERM end everything in order; after a SIGKILL of the launcher no car drives, leftovers are listed by pid."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.leftovers import find_leftovers
from tests.faults.running_program import BACK_S, RunningProgram
from tests.spoken_lines import foreign_lines
from tests.waiting import LONG_S, eventually


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_with_a_checkpoint(tmp_path: Path, number: int) -> None:
    program = RunningProgram(tmp_path, learner={"checkpoint_interval_s": 1000})
    program.wait_until_it_trains()
    relatives = program.family()
    os.killpg(program.process.pid, number)
    began = time.monotonic()
    assert program.process.wait(timeout=BACK_S) == 128 + number, program.output()
    print(f"ended {time.monotonic() - began:.1f} s after signal {number}")
    _, alive = psutil.wait_procs(relatives, timeout=LONG_S)
    assert not alive, [relative.cmdline() for relative in alive]
    assert find_leftovers([program.run_dir]) == []
    newest = CheckpointStore(program.run_dir / "checkpoints").newest()
    assert newest is not None and newest.replay_is_complete()
    summary = program.summary()
    assert newest.progress["train_steps"] == summary["train_steps"] > 0
    assert newest.progress["env_steps"] == summary["env_steps"]
    assert program.processes()["ended_at"] is not None
    eventually(program.is_read, "all output is read")
    assert foreign_lines(program.lines) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "moment", ["starting Redis", "starting the replay server", "the cars are driving", "evaluating the last weights"]
)
def test_ctrl_c_at_any_moment_ends_everything_without_a_foreign_word(tmp_path: Path, moment: str) -> None:
    program = RunningProgram(tmp_path, "--train-steps", 10, evaluation={"laps": 50, "max_seconds": 600})
    program.wait(lambda: any(moment in line for line in program.lines), moment)
    relatives = program.family()
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.process.wait(timeout=BACK_S) == 128 + signal.SIGINT, program.output()
    _, alive = psutil.wait_procs(relatives, timeout=LONG_S)
    assert not alive, [relative.cmdline() for relative in alive]
    eventually(program.is_read, "all output is read")
    assert foreign_lines(program.lines) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("who", ["the launcher", "the command"])
def test_after_a_sigkill_no_car_drives_and_the_next_start_lists_what_is_left(
    tmp_path: Path, serve: Callable[..., Any], who: str
) -> None:
    with serve("oval") as simulator:
        address = f"{simulator.host}:{simulator.car_port}:{simulator.log_port}"
        program = RunningProgram(tmp_path, "--simulator", address)
        program.wait_until_it_trains()
        relatives = program.family()
        cars = [process for process in relatives if _drives(process, simulator.car_port)]
        assert len(cars) >= 2
        launcher = program.processes()["launcher"]["pid"]
        began = time.monotonic()
        os.kill(launcher if who == "the launcher" else program.process.pid, signal.SIGKILL)
        eventually(lambda: not any(_drives(process, simulator.car_port) for process in cars), "no car drives")
        print(f"no car drives {time.monotonic() - began:.1f} s after the SIGKILL of {who}")
        program.process.wait(timeout=BACK_S)
        psutil.wait_procs(relatives, timeout=LONG_S)
        left = find_leftovers([program.run_dir])
        print(f"left over: {left}")
        again = RunningProgram(tmp_path, "--simulator", address)
        eventually(lambda: any("resuming" in line for line in again.lines), "the next start has looked", BACK_S)
        said = [line for line in again.lines if "left by an earlier program" in line]
        still = [leftover.pid for leftover in left if psutil.pid_exists(leftover.pid)]
        assert all(said and str(pid) in said[0] for pid in still)
        again.end()
        for leftover in left:
            if psutil.pid_exists(leftover.pid):
                os.kill(leftover.pid, signal.SIGKILL)


def _drives(process: psutil.Process, port: int) -> bool:
    """Whether it is connected to the simulator's port for cars."""
    try:
        return any(c.raddr and c.raddr.port == port and c.status == "ESTABLISHED" for c in process.net_connections())
    except (psutil.Error, AttributeError):
        return False
